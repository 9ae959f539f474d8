"""The columns of each list, and how states and outcomes look in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from eventstore.events.recorded import Recorded
from projections.folds.job import Job, State
from projections.folds.worker import Worker
from projections.read_models.runs import Run

from ...escape import quoted
from ...event_wording import event_text
from ...text.durations import age, duration
from ...text.outcomes import how_ended, memory, outcome
from ...text.sizes import size
from ...text.timestamps import ago, clock, instant, rfc3339
from .style import ID_WIDTH, TEXT_WIDTH, Column

T = TypeVar("T")

GLYPHS: dict[State, str] = {
    "pending": "○",
    "processing": "▶",
    "completed": "✓",
    "failed": "↻",
    "dead": "✗",
    "scheduled": "◷",
    "cancelled": "⊘",
}


def state(job: Job) -> str:
    """Return the job's state with its glyph."""
    cancelling = ", being cancelled" if job.cancel_requested else ""
    return f"{GLYPHS[job.state]} {job.state}{cancelling}"


def failure_text(job: Job) -> str:
    """Return how the last finished attempt failed; empty if that attempt did not fail."""
    return how_ended(job.failure, job.exit_code, job.signal) if job.failure else ""


def output_hint(attempts: Sequence[Run], job: Job) -> list[str]:
    """Return a list with one hint: the command that prints the output of the last attempt with any.

    Empty if no attempt printed anything. attempts: oldest first.
    """
    for run in reversed(attempts):
        if run.output_bytes:
            which = "" if run.attempt == job.attempt else f" --attempt {run.attempt}"
            return [f"output: queuectl logs {quoted(job.id)}{which}"]
    return []


def due_text(job: Job, now_us: int) -> str:
    """Return when the next attempt is due: `in 5s`.

    `overdue 2m`: the time has passed, and no worker has made the job pending yet.
    """
    if job.due_at_us is None:
        return ""
    late = job.due_at_us <= now_us
    return f"overdue {age(now_us - job.due_at_us)}" if late else ago(job.due_at_us, now_us)


def text_column(
    title: str,
    text: Callable[[T], str],
    *,
    wide: bool = False,
    droppable: bool = False,
    fold_width: int = 0,
) -> Column[T]:
    """Return a column that has the same text on a terminal and in a pipe."""
    return Column(title, text, lambda row, _: text(row), wide, droppable, fold_width)


def time_column(title: str, at_us: Callable[[T], int | None]) -> Column[T]:
    """Return a column of times: RFC 3339 in a pipe, on a terminal the distance from now."""

    def plain(row: T) -> str:
        return instant(at_us(row)) or ""

    def shown(row: T, now_us: int) -> str:
        at = at_us(row)
        return "" if at is None else ago(at, now_us)

    return Column(title, plain, shown, droppable=True)


JOB_COLUMNS: tuple[Column[Job], ...] = (
    text_column("id", lambda job: job.id, fold_width=ID_WIDTH),
    Column("state", lambda job: job.state, lambda job, _: state(job)),
    text_column("attempts", lambda job: str(job.attempts), droppable=True),
    time_column("enqueued", lambda job: job.enqueued_at_us),
    Column("next attempt", lambda job: instant(job.due_at_us) or "", due_text, droppable=True),
    text_column("command", lambda job: job.spec.command, wide=True),
)

# The next three columns are shown only if the terminal is wide enough.
REASON_COLUMN: Column[Job] = text_column(
    "reason",
    lambda job: failure_text(job) if job.state in ("failed", "dead") else "",
    droppable=True,
)
QUEUE_COLUMN: Column[Job] = text_column("queue", lambda job: job.spec.queue, droppable=True)
NAME_COLUMN: Column[Job] = text_column(
    "name", lambda job: job.spec.name or "", droppable=True, fold_width=TEXT_WIDTH
)


DEAD_COLUMNS: tuple[Column[Job], ...] = (
    text_column("id", lambda job: job.id, fold_width=ID_WIDTH),
    text_column("attempts", lambda job: str(job.attempts), droppable=True),
    text_column("reason", failure_text, fold_width=TEXT_WIDTH),
    time_column("dead since", lambda job: job.changed_at_us),
    text_column("command", lambda job: job.spec.command, wide=True),
)

ATTEMPT_COLUMNS: tuple[Column[Run], ...] = (
    text_column("attempt", lambda run: str(run.attempt)),
    text_column("worker", lambda run: f"{run.worker}/{run.slot}"),
    time_column("began", lambda run: run.claimed_at_us),
    text_column("outcome", outcome, fold_width=TEXT_WIDTH),
    text_column(
        "took",
        lambda run: "" if run.duration_us is None else duration(run.duration_us),
        droppable=True,
    ),
    text_column(
        "cpu", lambda run: "" if run.cpu_us is None else duration(run.cpu_us), droppable=True
    ),
    text_column(
        "memory", lambda run: memory(run.memory_bytes, run.memory_below_bytes), droppable=True
    ),
    text_column(
        "output",
        lambda run: "" if run.output_bytes is None else size(run.output_bytes),
        droppable=True,
    ),
)

EVENT_COLUMNS: tuple[Column[Recorded], ...] = (
    text_column("position", lambda row: str(row.position)),
    Column(
        "time", lambda row: rfc3339(row.recorded_at_us), lambda row, _: clock(row.recorded_at_us)
    ),
    text_column("stream", lambda row: row.stream),
    text_column("type", lambda row: row.type),
    text_column("actor", lambda row: row.actor),
    Column("what", lambda row: row.data, lambda row, _: event_text(row.event), wide=True),
)


class WorkerRow(NamedTuple):
    """A worker in a list."""

    worker: Worker
    jobs: tuple[str, ...]
    """Ids of the jobs that it runs or has claimed, oldest first."""
    alive: bool
    elsewhere: bool = False
    """Whether it may be on another machine."""

    @property
    def state(self) -> str:
        """The state in the log, or `dead` if it died and no other worker has taken over yet.

        A worker on another machine that has not beaten for its lease is `silent`.
        """
        if self.alive or not self.worker.active:
            return self.worker.state
        return "silent" if self.elsewhere else "dead"

    @property
    def process(self) -> str:
        """The pid, and where it is if that is another machine."""
        started = self.worker.started
        return f"{started.pid} on {started.host}" if self.elsewhere else str(started.pid)


WORKER_COLUMNS: tuple[Column[WorkerRow], ...] = (
    text_column("id", lambda row: row.worker.id),
    text_column("name", lambda row: row.worker.started.name, fold_width=TEXT_WIDTH),
    text_column("state", lambda row: row.state),
    text_column("slots", lambda row: str(row.worker.started.slots), droppable=True),
    Column(
        "queues",
        lambda row: ",".join(row.worker.started.queues),
        lambda row, _: ", ".join(row.worker.started.queues) or "all",
        droppable=True,
    ),
    Column(
        "pid",
        lambda row: str(row.worker.started.pid),
        lambda row, _: row.process,
        droppable=True,
    ),
    time_column("started", lambda row: row.worker.started_at_us),
    text_column("ended", lambda row: row.worker.ended or "", droppable=True),
    Column(
        "jobs",
        lambda row: ",".join(row.jobs),
        lambda row, _: _job_list(row),
        droppable=True,
        fold_width=TEXT_WIDTH,
    ),
)


def _job_list(row: WorkerRow) -> str:
    """Return the ids of the first jobs, one per slot, and how many more are claimed."""
    slots = row.worker.started.slots
    ahead = len(row.jobs) - slots
    shown = ", ".join(row.jobs[:slots])
    return f"{shown} and {ahead:,} claimed ahead" if ahead > 0 else shown
