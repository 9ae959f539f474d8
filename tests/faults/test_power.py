"""Power cuts: what they may leave is whole; and told to sync less, SQLite loses what it should."""

import pytest

from tests.torture.power import POWER, controls
from tests.torture.proof import assert_kept


@pytest.mark.timeout(300)
@pytest.mark.sampled
def test_power_cut_loses_nothing_acknowledged() -> None:
    assert_kept(POWER)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("mode", "lost"), [("NORMAL", "was acknowledged"), ("OFF", "is malformed")]
)
def test_less_syncing_is_found_out(mode: str, lost: str) -> None:
    tally = controls(mode, 1_000)
    assert sum(lost in line for line in tally.found) > 100
