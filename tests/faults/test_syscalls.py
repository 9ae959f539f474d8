"""Each call of the real program to its files fails, or is its last."""

import pytest

from tests.ctl import Ctl
from tests.torture.proof import assert_holds
from tests.torture.syscalls import SYSCALLS
from tests.torture.syscalls_judged import After, judged
from tests.torture.syscalls_scenes import ENQUEUE


@pytest.mark.sampled
@pytest.mark.timeout(300)  # half a minute, where nobody else works
def test_failing_or_last_system_call_leaves_a_sound_queue_and_a_clear_answer() -> None:
    assert_holds(SYSCALLS)


def test_a_false_answer_is_found(ctl: Ctl) -> None:
    """The control: what was acknowledged is not there, or there although it was refused."""
    for _ in range(ENQUEUE[0].jobs):
        ctl.enqueue("true")
    said = {"acknowledged and lost": (0, "7\n", ""), "refused and done": (6, "", "error: no room")}
    for what, (code, out, err) in said.items():
        found = list(judged(ENQUEUE[0], After(ctl.folder, code, out, err, killed=False)))
        assert len(found) == 1
        assert what in found[0]


def test_a_process_that_was_not_killed_is_found(ctl: Ctl) -> None:
    """The other control: strace has let it pass."""
    for _ in range(ENQUEUE[0].jobs + 1):
        ctl.enqueue("true")
    (told,) = judged(ENQUEUE[0], After(ctl.folder, 0, "3\n", "", killed=True))
    assert told.startswith("it was not killed")
