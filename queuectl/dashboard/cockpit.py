"""What happens now and next: running jobs, queues, rates, and what falls due."""

from typing import NamedTuple

from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import Job
from projections.read_models import counts, jobs, ready, throughput, timers, workers
from projections.read_models.timers import Due

from . import causes
from .causes import Cause
from .connections import Source
from .job_list import Listed, listed

RUNNING = 20
"""Running jobs on the overview and on a queue's page."""
RUNNING_READ = 500
"""Running jobs that are read to show those that have run longest."""
QUEUES = 10
"""Queues on the overview."""
MOST_QUEUES = 500
"""Queues on their own page."""
SOON = 8
"""Retries and delayed jobs on the overview."""
RECENT = 10
CAUSES = 5
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
RATE_MINUTES = 5


class Rates(NamedTuple):
    """How fast a queue, or all of them, has moved lately."""

    per_minute: float
    """Attempts ended, over the last `RATE_MINUTES`."""
    succeeded: int
    """In the last hour; so are the others."""
    failed: int
    enqueued: int


class QueueRow(NamedTuple):
    """A queue at a glance."""

    name: str
    counts: counts.Counts
    oldest: Job | None
    """The pending job that was enqueued first."""
    hour: throughput.Step
    """What happened in the last hour."""


class Overview(NamedTuple):
    """The whole at a glance."""

    running: list[Listed]
    queues: list[QueueRow]
    causes: list[Cause]
    soon: list[Job]
    oldest: Job | None
    next_due_at_us: int | None
    rates: Rates
    recent: list[Listed]


class QueuePage(NamedTuple):
    """One queue, whole."""

    row: QueueRow
    rates: Rates
    running: list[Listed]
    causes: list[Cause]
    waiting: list[Listed]
    """Pending jobs in the order in which they will be claimed."""
    recent: list[Listed]


class Upcoming(NamedTuple):
    """A page of retries and delayed jobs, soonest first."""

    jobs: list[Job]
    next: Due | None


def overview(tx: SqliteReader, source: Source, now_us: int) -> Overview:
    """The whole at a glance."""
    oldest = ready.oldest_waiting(tx)
    soon = upcoming(tx, None, SOON)
    return Overview(
        running=running(tx, now_us),
        queues=queue_rows(tx, now_us, QUEUES),
        causes=causes.causes(tx, source, CAUSES),
        soon=soon.jobs,
        oldest=jobs.get(tx, oldest) if oldest else None,
        next_due_at_us=timers.earliest(tx),
        rates=rates(tx, now_us),
        recent=listed(tx, jobs.page(tx, jobs.Filter(), limit=RECENT), now_us),
    )


def queue_page(tx: SqliteReader, source: Source, name: str, now_us: int) -> QueuePage | None:
    """One queue, whole; None if it never had a job."""
    counted = counts.by_queue(tx).get(name)
    if counted is None:
        return None
    first = ready.next_ready(tx, (name,), RECENT)
    waiting = [job for entry in first if (job := jobs.get(tx, entry.job_id))]
    ended = jobs.Filter(queue=name, states=("completed", "failed", "dead", "cancelled"))
    recent = sorted(jobs.page(tx, ended, limit=5 * RECENT), key=lambda job: -job.changed_at_us)
    return QueuePage(
        row=_queue_row(tx, name, counted, throughput.queues(tx, now_us - HOUR_US)),
        rates=rates(tx, now_us, name),
        running=running(tx, now_us, name),
        causes=causes.causes(tx, source, CAUSES, name),
        waiting=listed(tx, waiting, now_us),
        recent=listed(tx, recent[:RECENT], now_us),
    )


def is_queue(tx: SqliteReader, name: str) -> bool:
    """Whether the queue ever had a job."""
    return name in counts.by_queue(tx)


def running(tx: SqliteReader, now_us: int, queue: str | None = None) -> list[Listed]:
    """The jobs that have run longest, of one queue or of all."""
    found = jobs.oldest(tx, jobs.Filter(states=("processing",), queue=queue), 0, RUNNING_READ)
    slots = {worker.id: worker.started.slots for worker in workers.active(tx)}
    begun = in_slots(found, slots)
    begun.sort(key=lambda job: job.changed_at_us)
    return listed(tx, begun[:RUNNING], now_us)


def in_slots(claimed: list[Job], slots: dict[str, int]) -> list[Job]:
    """The jobs that have a slot. slots: of each active worker, by its id.

    A worker claims short jobs ahead of time and starts them in the order of their claims.
    """
    free = dict(slots)
    begun: list[Job] = []
    for job in sorted(claimed, key=lambda job: job.position):
        left = free.get(job.worker or "", 1)
        if left > 0:
            begun.append(job)
            free[job.worker or ""] = left - 1 if job.worker in slots else left
    return begun


def queue_rows(tx: SqliteReader, now_us: int, most: int = MOST_QUEUES) -> list[QueueRow]:
    """The queues with most to do, at most `most`; those with nothing to do by name."""
    found = sorted(counts.by_queue(tx).items(), key=lambda item: (-_open(item[1]), item[0]))
    hours = throughput.queues(tx, now_us - HOUR_US)
    return [_queue_row(tx, name, counted, hours) for name, counted in found[:most]]


def _open(counted: counts.Counts) -> int:
    states = counted.states
    return states["pending"] + states["processing"] + states["failed"] + states["scheduled"]


def _queue_row(
    tx: SqliteReader, name: str, counted: counts.Counts, hours: dict[str, throughput.Step]
) -> QueueRow:
    oldest = ready.oldest_waiting(tx, name) if counted.states["pending"] else None
    hour = hours.get(name, throughput.Step(0, 0, 0, 0))
    return QueueRow(name, counted, jobs.get(tx, oldest) if oldest else None, hour)


def rates(tx: SqliteReader, now_us: int, queue: str | None = None) -> Rates:
    """How fast one queue, or all of them, has moved in the last hour and the last minutes."""
    hour = throughput.steps(tx, now_us - HOUR_US, 1, queue)
    since_us = now_us - RATE_MINUTES * MINUTE_US
    lately = sum(
        step.succeeded + step.failed for step in hour if step.started_at_us + MINUTE_US > since_us
    )
    return Rates(
        per_minute=lately / RATE_MINUTES,
        succeeded=sum(step.succeeded for step in hour),
        failed=sum(step.failed for step in hour),
        enqueued=sum(step.enqueued for step in hour),
    )


def upcoming(tx: SqliteReader, after: Due | None, limit: int) -> Upcoming:
    """Retries and delayed jobs in the order in which they fall due."""
    due = timers.upcoming(tx, limit + 1, after)
    more = len(due) > limit
    return Upcoming(
        jobs.many(tx, (entry.born for entry in due[:limit])), due[limit - 1] if more else None
    )
