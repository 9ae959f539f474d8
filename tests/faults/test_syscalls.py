"""Each call of the real program to its files fails, or is its last."""

import pytest

from tests.ctl import Ctl
from tests.torture.proof import assert_kept
from tests.torture.syscalls import SYSCALLS
from tests.torture.syscalls_judged import After, judged
from tests.torture.syscalls_scenes import ENQUEUE


@pytest.mark.sampled
@pytest.mark.timeout(300)  # half a minute, where nobody else works
def test_call_that_fails_or_is_the_last_leaves_a_whole_queue_and_a_clear_answer() -> None:
    assert_kept(SYSCALLS)


def test_answer_that_is_a_lie_is_found_out(ctl: Ctl) -> None:
    """The control: what was acknowledged is not there, or there although it was refused."""
    for _ in range(ENQUEUE[0].jobs):
        ctl.enqueue("true")
    said = {"acknowledged and lost": (0, "7\n", ""), "refused and done": (6, "", "error: no room")}
    for what, (code, out, err) in said.items():
        found = list(judged(ENQUEUE[0], After(ctl.folder, code, out, err, killed=False)))
        assert len(found) == 1
        assert what in found[0]


def test_process_that_was_not_killed_is_found_out(ctl: Ctl) -> None:
    """The other control: strace has let it pass."""
    for _ in range(ENQUEUE[0].jobs + 1):
        ctl.enqueue("true")
    (told,) = judged(ENQUEUE[0], After(ctl.folder, 0, "3\n", "", killed=True))
    assert told.startswith("it was not killed")
