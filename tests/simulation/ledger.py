"""A second fold of the recorded events, independent of the program, checked after every step."""

from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    FellDue,
    JobEvent,
    Released,
    Requeued,
    Rescheduled,
    ScheduledRetry,
    Succeeded,
    Usage,
)
from eventstore.events.recorded import Recorded
from eventstore.store import Reader
from projections.folds.job import Job, State, evolve
from projections.read_models import jobs
from projections.registry import checkpoint
from projections.streams import is_job

MAY_FOLLOW: dict[type[JobEvent], tuple[State | None, ...]] = {
    Enqueued: (None,),
    FellDue: ("scheduled",),
    Claimed: ("pending",),
    Released: ("processing",),
    Succeeded: ("processing",),
    Failed: ("processing",),
    ScheduledRetry: ("failed",),
    Dead: ("failed",),
    Rescheduled: ("scheduled", "failed"),
    Requeued: ("scheduled", "failed", "dead"),
    CancelRequested: ("processing",),
    Cancelled: ("pending", "processing", "scheduled", "failed", "dead"),
}
"""The states in which a job may be when each of its events is recorded; None: not born yet."""

ENDS = Released | Succeeded | Failed


class Ledger:
    """The log as far as it was read, and the jobs in it."""

    def __init__(self) -> None:
        self._position = 0
        self._jobs: dict[str, Job] = {}

    def check_new(self, tx: Reader) -> None:
        """Check the new events against the rules, and the tables against the events."""
        moved = set()
        for recorded in tx.events(after=self._position):
            assert recorded.position == self._position + 1, f"a gap before {recorded.position}"
            self._position = recorded.position
            if is_job(recorded.stream):
                moved.add(recorded.stream)
                self._apply(recorded)
        assert checkpoint(tx).position == self._position, (
            "the tables have not reached the last event"
        )
        for name in moved:
            shown = jobs.get(tx, name)
            assert shown == self._jobs[name], f"{name} is {self._jobs[name]}, shown as {shown}"

    def _apply(self, recorded: Recorded) -> None:
        job = self._jobs.get(recorded.stream)
        message = f"{recorded.type} of job {recorded.stream} at {recorded.position}, which is {job}"
        assert recorded.version == (job.version if job else 0) + 1, message
        assert (job.state if job else None) in MAY_FOLLOW[type(recorded.event)], message  # type: ignore[index]
        if job is not None:
            _refuse_attempt(job, recorded.event, message)
        if isinstance(recorded.event, Failed):
            assert recorded.event.reason != "signal", f"{message}: only shutdowns signal jobs here"
        if isinstance(recorded.event, Usage):
            assert recorded.event.duration_us >= 0, message
        self._jobs[recorded.stream] = evolve(job, recorded)


def _refuse_attempt(job: Job, event: object, message: str) -> None:
    """Check that an attempt is claimed once, under the next number, and ends once."""
    if isinstance(event, Claimed):
        assert event.attempt == job.attempt + 1, message
    elif isinstance(event, ENDS) or (isinstance(event, Cancelled) and event.attempt):
        assert (job.state, event.attempt) == ("processing", job.attempt), message
    elif isinstance(event, Cancelled):
        assert job.state != "processing", message
