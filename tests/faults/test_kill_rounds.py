"""Workers die at random moments: nothing is lost, done twice, done beside itself, or left."""

import pytest

from tests.torture.kills import KILLS, RECLAIMS
from tests.torture.proof import assert_kept


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", [0, 1])
def test_no_death_breaks_a_promise(part: int) -> None:
    rounds = KILLS.in_ci // 2
    tally = KILLS.run(rounds, part * rounds)
    assert tally.done == rounds
    assert not tally.found, "\n".join(tally.found)


def test_job_of_a_killed_supervisor_is_claimed_again_at_once() -> None:
    assert_kept(RECLAIMS)
