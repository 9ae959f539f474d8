"""How an attempt determines its outcome."""

from collections.abc import Collection
from signal import SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGTERM, Signals
from typing import Any

import pytest
from msgspec.structs import replace

from eventstore import codec
from eventstore.events.job import Enqueued, Succeeded
from eventstore.output_files import OutputFiles
from projections.folds.job import Job
from queuectl.outputs.writer import OutputWriter
from queuectl.worker.attempt import EXIT_SEEN_US, STOP_SEEN_US, Attempt
from queuectl.worker.launcher import Child, ChildExit
from queuectl.worker.process_mark import Mark

SPEC = Enqueued(command="true", max_retries=0, backoff_base=2.0)


class WithoutOrphans:
    """A launcher whose jobs leave no orphans."""

    def orphans(self, mark: Mark) -> list[int]:
        return []

    def send(self, marks: Collection[Mark], number: Signals) -> int:
        return 1


def attempt(started_us: int, spec: Enqueued = SPEC) -> Attempt:
    launcher: Any = WithoutOrphans()
    job = Job(
        born=1,
        id="1",
        spec=spec,
        state="processing",
        version=2,
        position=2,
        enqueued_at_us=0,
        changed_at_us=0,
        attempt=1,
    )
    output = OutputWriter(OutputFiles(lambda: -1, "1", 1, 1_000))
    return Attempt(job, 1, Mark("cookie", 1), Child(7, None), output, launcher, started_us)


def test_duration_is_never_negative() -> None:
    quick = attempt(started_us=1_000)
    quick.exited(ChildExit(7, 0, None, 10, None), now_us=990)
    assert quick.gone(990)
    usage = quick.outcome().usage
    assert usage.duration_us == 0
    event = Succeeded(attempt=1, duration_us=usage.duration_us)
    assert codec.decode(1, "succeeded", codec.encode(event)) == event


@pytest.mark.parametrize(
    ("ends_at_us", "ended"), [(6_000_000, "exit"), (6_000_001, "timeout"), (655_000_000, "timeout")]
)
def test_attempt_that_ran_longer_than_its_timeout_is_no_success(
    ends_at_us: int, ended: str
) -> None:
    late = attempt(1_000_000, replace(SPEC, timeout_us=5_000_000))
    late.exited(ChildExit(7, 0, None, 10, None), ends_at_us)
    assert late.outcome().ended == ended


def test_frozen_time_counts_neither_for_the_timeout_nor_for_the_grace() -> None:
    frozen = attempt(1_000_000, replace(SPEC, timeout_us=5_000_000))
    reminders: list[int] = []
    frozen.begin(reminders.append)
    frozen.thawed(60_000_000)
    assert reminders == [6_000_000, 66_000_000]
    frozen.end("cancelled", 65_000_000)
    frozen.thawed(10_000_000)
    assert 75_000_000 + SPEC.grace_us in reminders
    frozen.exited(ChildExit(7, 0, None, 10, None), 76_000_000)
    assert frozen.outcome().usage.duration_us == 5_000_000


def test_a_cancelled_attempt_is_not_a_timeout() -> None:
    cancelled = attempt(0, replace(SPEC, timeout_us=5_000_000))
    cancelled.end("cancelled", 1_000_000)
    cancelled.exited(ChildExit(7, 0, None, 10, None), 9_000_000)
    assert cancelled.outcome().ended == "cancelled"


@pytest.mark.parametrize("number", [SIGHUP, SIGINT, SIGTERM])
@pytest.mark.parametrize("by_shell", [False, True])
def test_job_killed_by_a_shutdown_is_stopped_with_its_worker(number: int, by_shell: bool) -> None:
    died = (
        ChildExit(7, 128 + number, None, 10, None)
        if by_shell
        else ChildExit(7, None, number, 10, None)
    )
    before = attempt(started_us=0)
    before.exited(died, now_us=1_000)
    assert not before.gone(STOP_SEEN_US)
    before.worker_stops(STOP_SEEN_US)
    after = attempt(started_us=0)
    after.worker_stops(1_000)
    after.exited(died, now_us=2_000)
    for ended in (before, after):
        assert ended.gone(STOP_SEEN_US)
        assert ended.outcome().ended == "worker-stopped"


EXIT_3 = ChildExit(7, 3, None, 10, None)


@pytest.mark.parametrize("late_us", [-1, 0, 60_000_000])
def test_failure_that_is_not_recorded_before_a_stop_signal_counts_as_stopped(late_us: int) -> None:
    """However late the signal is taken in: a busy machine runs the worker when it can."""
    before = attempt(started_us=0)
    before.exited(EXIT_3, now_us=1_000)
    assert before.gone(1_000)
    assert before.decided_at_us == 1_000 + EXIT_SEEN_US
    before.worker_signalled(1_000 + EXIT_SEEN_US + late_us)
    assert before.outcome().ended == "worker-stopped"


@pytest.mark.parametrize(("later_us", "ended"), [(-1, "worker-stopped"), (0, "exit")])
def test_failure_just_after_a_stop_signal_counts_as_stopped(later_us: int, ended: str) -> None:
    after = attempt(started_us=0)
    after.worker_signalled(1_000)
    after.exited(EXIT_3, now_us=1_000 + STOP_SEEN_US + later_us)
    assert after.gone(1_000 + STOP_SEEN_US)
    assert after.outcome().ended == ended


def test_job_killed_by_a_signal_fails_if_its_worker_does_not_stop() -> None:
    killed = attempt(started_us=0)
    killed.exited(ChildExit(7, None, SIGTERM, 10, None), now_us=1_000)
    assert not killed.gone(1_000)
    assert killed.gone(1_000 + STOP_SEEN_US)
    assert killed.outcome().ended == "signal"


@pytest.mark.parametrize(("number", "ended"), [(SIGKILL, "worker-stopped"), (SIGSEGV, "signal")])
def test_a_crash_is_a_failure_even_while_the_worker_stops(number: int, ended: str) -> None:
    crashed = attempt(started_us=0)
    crashed.worker_stops(1_000)
    crashed.exited(ChildExit(7, None, number, 10, None), now_us=2_000)
    assert crashed.gone(2_000)
    assert crashed.outcome().ended == ended


@pytest.mark.parametrize(
    "died", [ChildExit(7, 0, None, 1, None), ChildExit(7, None, SIGSEGV, 1, None)]
)
def test_other_outcomes_are_recorded_at_once(died: ChildExit) -> None:
    quick = attempt(started_us=0)
    quick.exited(died, now_us=1_000)
    assert quick.gone(1_000)
