"""The states of a job and its transitions: the state diagram as code."""

from typing import Any, Literal, assert_never

import msgspec
from msgspec.structs import replace

from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    FailureReason,
    FellDue,
    JobEvent,
    Released,
    Requeued,
    Rescheduled,
    ScheduledRetry,
    Succeeded,
)
from eventstore.events.recorded import Recorded

State = Literal["pending", "processing", "completed", "failed", "dead", "scheduled", "cancelled"]
STATES: tuple[State, ...] = (
    "pending",
    "processing",
    "completed",
    "failed",
    "dead",
    "scheduled",
    "cancelled",
)
FINAL: frozenset[State] = frozenset({"completed", "dead", "cancelled"})


class Job(msgspec.Struct, frozen=True, gc=False):
    """The state of a job after its events. Times are UTC, microseconds since 1970."""

    born: int
    """Position of its `enqueued` event: lower is older."""
    id: str
    spec: Enqueued
    """Command, options and policy of the job, as recorded."""
    state: State
    version: int
    """Version of its stream: the number of its events."""
    position: int
    """Position of its last event."""
    enqueued_at_us: int
    changed_at_us: int
    """When it entered its current state; `rescheduled` counts as well."""
    due_at_us: int | None = None
    """When a `scheduled` or `failed` job becomes pending; None in other states."""
    delay_us: int | None = None
    """The delay from which `due_at_us` was computed; None if there is none, or a user gave a time.
    """
    attempt: int = 0
    """Number of the last attempt that has begun or is claimed; 0 before the first."""
    skipped: int = 0
    """Number of attempt numbers that were not used: in early logs, a released claim used up one."""
    worker: str | None = None
    """The worker that has claimed it, while it is `processing`; else None."""
    round: int = 1
    """Number of the current round of retries: `dlq retry` begins a new one."""
    retries_used: int = 0
    """Retries used in this round."""
    lost_in_row: int = 0
    """Number of consecutive attempts whose worker died, up to the last attempt."""
    cancel_requested: bool = False
    succeeded_runs: int = 0
    failed_runs: int = 0
    """Attempts that failed and used up a retry."""
    failure: FailureReason | None = None
    """Why the last ended attempt failed; None if it succeeded."""
    exit_code: int | None = None
    """Exit code of the last ended attempt, if it has one."""
    signal: int | None = None
    """Signal that ended the last ended attempt, if one did."""

    @property
    def attempts(self) -> int:
        """Number of attempts that have begun or are claimed."""
        return self.attempt - self.skipped


def evolve(job: Job | None, recorded: Recorded) -> Job:
    """Return the job after `recorded`. Rejects nothing: a recorded event has happened."""
    event = recorded.event
    if job is None:
        assert isinstance(event, Enqueued), f"stream {recorded.stream} begins with {recorded.type}"
        return _born(event, recorded)
    return _step(job, event, recorded)  # type: ignore[arg-type]


def _born(spec: Enqueued, recorded: Recorded) -> Job:
    return Job(
        born=recorded.position,
        id=recorded.stream,
        spec=spec,
        state="pending" if spec.due_at_us is None else "scheduled",
        version=recorded.version,
        position=recorded.position,
        enqueued_at_us=recorded.recorded_at_us,
        changed_at_us=recorded.recorded_at_us,
        due_at_us=spec.due_at_us,
        delay_us=spec.delay_us,
    )


def _step(job: Job, event: JobEvent, recorded: Recorded) -> Job:
    at, version, position = recorded.recorded_at_us, recorded.version, recorded.position
    place = {"version": version, "position": position, "changed_at_us": at}  # of the event
    match event:
        case Claimed():
            return _claimed(job, event, place)
        case Released():
            return replace(job, state="pending", worker=None, attempt=event.attempt - 1, **place)
        case Succeeded():
            return _succeeded(job, event, place)
        case Failed():
            return _failed(job, event, place)
        case ScheduledRetry():
            return _waiting(job, event, place, state="failed", retries_used=event.retry)
        case Rescheduled():
            return _waiting(job, event, place)
        case Dead():
            return replace(job, state="dead", due_at_us=None, delay_us=None, **place)
        case Requeued():
            return _requeued(job, event, place)
        case FellDue():
            return replace(job, state="pending", due_at_us=None, delay_us=None, **place)
        case CancelRequested():
            return replace(job, cancel_requested=True, version=version, position=position)
        case Cancelled():
            return _cancelled(job, event, place)
        case Enqueued():
            raise AssertionError(f"job {job.id} is enqueued twice, at {recorded.position}")
        case _:
            assert_never(event)


def _claimed(job: Job, event: Claimed, place: dict[str, int]) -> Job:
    return replace(
        job,
        state="processing",
        attempt=event.attempt,
        skipped=job.skipped + event.attempt - job.attempt - 1,
        worker=event.worker,
        **place,
    )


def _waiting(
    job: Job, event: ScheduledRetry | Rescheduled, place: dict[str, int], **changes: Any
) -> Job:
    return replace(job, due_at_us=event.due_at_us, delay_us=event.delay_us, **changes, **place)


def _succeeded(job: Job, event: Succeeded, place: dict[str, int]) -> Job:
    return replace(
        job,
        state="completed",
        worker=None,
        lost_in_row=0,
        cancel_requested=False,
        succeeded_runs=job.succeeded_runs + 1,
        failure=None,
        exit_code=event.exit_code,
        signal=event.signal,
        **place,
    )


def _cancelled(job: Job, event: Cancelled, place: dict[str, int]) -> Job:
    return replace(
        job,
        state="cancelled",
        worker=None,
        due_at_us=None,
        delay_us=None,
        cancel_requested=False,
        exit_code=job.exit_code if event.attempt is None else event.exit_code,
        signal=job.signal if event.attempt is None else event.signal,
        **place,
    )


def _failed(job: Job, event: Failed, place: dict[str, int]) -> Job:
    """Return the job after a failed attempt. The next event decides which state follows."""
    return replace(
        job,
        state="failed",
        worker=None,
        lost_in_row=job.lost_in_row + 1 if event.reason == "worker-lost" else 0,
        failed_runs=job.failed_runs + event.counted,
        failure=event.reason,
        exit_code=event.exit_code,
        signal=event.signal,
        **place,
    )


def _requeued(job: Job, event: Requeued, place: dict[str, int]) -> Job:
    job = replace(job, state="pending", due_at_us=None, delay_us=None, **place)
    if event.why == "dlq":
        return replace(job, round=job.round + 1, retries_used=0, lost_in_row=0)
    return job
