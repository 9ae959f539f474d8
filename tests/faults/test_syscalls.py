"""Each system call on the files of the real program fails, or kills the process."""

import pytest

from tests.ctl import Ctl
from tests.torture.proof import assert_holds
from tests.torture.syscalls import SYSCALLS
from tests.torture.syscalls_judged import After, judged
from tests.torture.syscalls_scenes import ENQUEUE


@pytest.mark.sampled
def test_failing_or_last_system_call_leaves_a_sound_queue_and_a_clear_answer() -> None:
    assert_holds(SYSCALLS)


def test_a_false_answer_is_found(ctl: Ctl) -> None:
    """The control: an acknowledged job is missing, or a refused one exists."""
    for _ in range(ENQUEUE[0].jobs):
        ctl.enqueue("true")
    answers = {
        "acknowledged and lost": (0, "7\n", ""),
        "refused and done": (6, "", "error: no room"),
    }
    for what, (code, out, err) in answers.items():
        findings = list(judged(ENQUEUE[0], After(ctl.folder, code, out, err, killed=False)))
        assert len(findings) == 1
        assert what in findings[0]


def test_a_process_that_was_not_killed_is_found(ctl: Ctl) -> None:
    """The other control: strace did not kill the process."""
    for _ in range(ENQUEUE[0].jobs + 1):
        ctl.enqueue("true")
    (finding,) = judged(ENQUEUE[0], After(ctl.folder, 0, "3\n", "", killed=True))
    assert finding.startswith("it was not killed")
