"""The columns of each list, and how states and endings look in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from eventstore.events.recorded import Recorded
from projections.folds.job import Job, State
from projections.folds.worker import Worker
from projections.read_models.runs import Run

from ...escape import quoted
from ...event_wording import what
from ...text.durations import age, duration
from ...text.outcomes import manner, memory, outcome
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
    """Glyph and word."""
    ending = ", being cancelled" if job.cancel_requested else ""
    return f"{GLYPHS[job.state]} {job.state}{ending}"


def ended(job: Job) -> str:
    """How its last ended attempt failed; empty if it did not."""
    return manner(job.failure, job.exit_code, job.signal) if job.failure else ""


def output_hint(attempts: Sequence[Run], job: Job) -> list[str]:
    """Where to read what its last attempt that printed something printed."""
    for run in reversed(attempts):
        if run.output_bytes:
            which = "" if run.attempt == job.attempt else f" --attempt {run.attempt}"
            return [f"output: queuectl logs {quoted(job.id)}{which}"]
    return []


def due_text(job: Job, now: int) -> str:
    """When its next attempt comes. A running worker lets none be late."""
    if job.due_at_us is None:
        return ""
    late = job.due_at_us <= now
    return f"overdue {age(now - job.due_at_us)}" if late else ago(job.due_at_us, now)


def text_column(
    title: str,
    text: Callable[[T], str],
    *,
    wide: bool = False,
    spare: bool = False,
    folds: int = 0,
) -> Column[T]:
    """A column that reads the same everywhere."""
    return Column(title, text, lambda row, _: text(row), wide, spare, folds)


def time_column(title: str, at_us: Callable[[T], int | None]) -> Column[T]:
    """A column of times: RFC 3339, or for a person the distance from now."""

    def plain(row: T) -> str:
        return instant(at_us(row)) or ""

    def shown(row: T, now: int) -> str:
        at = at_us(row)
        return "" if at is None else ago(at, now)

    return Column(title, plain, shown, spare=True)


JOB_COLUMNS: tuple[Column[Job], ...] = (
    text_column("id", lambda job: job.id, folds=ID_WIDTH),
    Column("state", lambda job: job.state, lambda job, _: state(job)),
    text_column("attempts", lambda job: str(job.attempts), spare=True),
    time_column("enqueued", lambda job: job.enqueued_at_us),
    Column("next attempt", lambda job: instant(job.due_at_us) or "", due_text, spare=True),
    text_column("command", lambda job: job.spec.command, wide=True),
)

REASON_COLUMN: Column[Job] = text_column(
    "reason", lambda job: ended(job) if job.state in ("failed", "dead") else "", spare=True
)
QUEUE_COLUMN: Column[Job] = text_column("queue", lambda job: job.spec.queue, spare=True)
NAME_COLUMN: Column[Job] = text_column(
    "name", lambda job: job.spec.name or "", spare=True, folds=TEXT_WIDTH
)
"""What a wide terminal has room for beside the others."""

DEAD_COLUMNS: tuple[Column[Job], ...] = (
    text_column("id", lambda job: job.id, folds=ID_WIDTH),
    text_column("attempts", lambda job: str(job.attempts), spare=True),
    text_column("reason", ended, folds=TEXT_WIDTH),
    time_column("dead since", lambda job: job.changed_at_us),
    text_column("command", lambda job: job.spec.command, wide=True),
)

ATTEMPT_COLUMNS: tuple[Column[Run], ...] = (
    text_column("attempt", lambda run: str(run.attempt)),
    text_column("worker", lambda run: f"{run.worker}/{run.slot}"),
    time_column("began", lambda run: run.claimed_at_us),
    text_column("outcome", outcome, folds=TEXT_WIDTH),
    text_column(
        "took", lambda run: "" if run.duration_us is None else duration(run.duration_us), spare=True
    ),
    text_column("cpu", lambda run: "" if run.cpu_us is None else duration(run.cpu_us), spare=True),
    text_column("memory", lambda run: memory(run.memory_bytes, run.memory_below_bytes), spare=True),
    text_column(
        "output", lambda run: "" if run.output_bytes is None else size(run.output_bytes), spare=True
    ),
)

EVENT_COLUMNS: tuple[Column[Recorded], ...] = (
    text_column("position", lambda one: str(one.position)),
    Column(
        "time", lambda one: rfc3339(one.recorded_at_us), lambda one, _: clock(one.recorded_at_us)
    ),
    text_column("stream", lambda one: one.stream),
    text_column("type", lambda one: one.type),
    text_column("actor", lambda one: one.actor),
    Column("what", lambda one: one.data, lambda one, _: what(one.event), wide=True),
)


class WorkerRow(NamedTuple):
    """A worker in a list."""

    worker: Worker
    jobs: tuple[str, ...]
    """Ids of the jobs that it runs or has claimed, oldest first."""


WORKER_COLUMNS: tuple[Column[WorkerRow], ...] = (
    text_column("id", lambda row: row.worker.id),
    text_column("name", lambda row: row.worker.started.name, folds=TEXT_WIDTH),
    text_column("state", lambda row: row.worker.state),
    text_column("slots", lambda row: str(row.worker.started.slots), spare=True),
    Column(
        "queues",
        lambda row: ",".join(row.worker.started.queues),
        lambda row, _: ", ".join(row.worker.started.queues) or "all",
        spare=True,
    ),
    text_column("pid", lambda row: str(row.worker.started.pid), spare=True),
    time_column("started", lambda row: row.worker.started_at_us),
    text_column("ended", lambda row: row.worker.ended or "", spare=True),
    Column(
        "jobs",
        lambda row: ",".join(row.jobs),
        lambda row, _: _job_list(row),
        spare=True,
        folds=TEXT_WIDTH,
    ),
)


def _job_list(row: WorkerRow) -> str:
    """As many jobs as it has slots, and how many it has claimed ahead."""
    slots = row.worker.started.slots
    ahead = len(row.jobs) - slots
    shown = ", ".join(row.jobs[:slots])
    return f"{shown} and {ahead:,} claimed ahead" if ahead > 0 else shown
