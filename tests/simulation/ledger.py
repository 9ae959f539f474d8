"""What was recorded, folded once more beside the program: looked at after every step."""

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
from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import Job, State, evolve
from projections.read_models import jobs
from projections.registry import checkpoint, kind_of

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
"""In which state a job may be when each of its events is recorded; None is not there yet."""

ENDS = Released | Succeeded | Failed


class Ledger:
    """The log as far as it was read, and the jobs that it tells of."""

    def __init__(self) -> None:
        self._position = 0
        self._jobs: dict[str, Job] = {}

    def look(self, tx: SqliteReader) -> None:
        """Hold what was recorded since against the rules, and the tables against that."""
        moved = set()
        for one in tx.events(after=self._position):
            assert one.position == self._position + 1, f"a gap before {one.position}"
            self._position = one.position
            if kind_of(one.stream) == "job":
                moved.add(one.stream)
                self._take(one)
        assert checkpoint(tx).position == self._position, "the tables are not where the log is"
        for name in moved:
            shown = jobs.get(tx, name)
            assert shown == self._jobs[name], f"{name} is {self._jobs[name]}, shown as {shown}"

    def _take(self, one: Recorded) -> None:
        job = self._jobs.get(one.stream)
        told = f"{one.type} of job {one.stream} at {one.position}, which is {job}"
        assert one.version == (job.version if job else 0) + 1, told
        assert (job.state if job else None) in MAY_FOLLOW[type(one.event)], told  # type: ignore[index]
        if job is not None:
            _refuse_attempt(job, one.event, told)
        if isinstance(one.event, Failed):
            assert one.event.reason != "signal", f"{told}: only shutdowns signal jobs here"
        if isinstance(one.event, Usage):
            assert one.event.duration_us >= 0, told
        self._jobs[one.stream] = evolve(job, one)


def _refuse_attempt(job: Job, event: object, told: str) -> None:
    """An attempt is claimed once, under the next number, and ends once."""
    if isinstance(event, Claimed):
        assert event.attempt == job.attempt + 1, told
    elif isinstance(event, ENDS) or (isinstance(event, Cancelled) and event.attempt):
        assert (job.state, event.attempt) == ("processing", job.attempt), told
    elif isinstance(event, Cancelled):
        assert job.state != "processing", told
