"""Read the data of the overview and of a queue's page: running jobs, queues, rates, due jobs."""

from typing import NamedTuple

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import counts, jobs, ready, throughput, timers
from projections.read_models.timers import Due

from . import causes
from .causes import DeadGroup
from .connections import Source
from .job_list import JobRow, job_rows

RUNNING_SHOWN = 20
"""Most running jobs to show on the overview and on a queue's page."""
MAX_RUNNING_READ = 500
"""Most running jobs to read to find the ones that have run longest."""
QUEUES_SHOWN = 10
"""Most queues to show on the overview."""
MAX_QUEUES = 500
"""Most queues to show on the page of all queues."""
DUE_JOBS_SHOWN = 8
"""Most retries and delayed jobs to show on the overview."""
RECENT_SHOWN = 10
"""Most jobs to show in the lists of new, ended and next jobs."""
CAUSES_SHOWN = 5
"""Most groups of dead jobs to show."""
HOUR_US = 60 * throughput.MINUTE_US
RATE_MINUTES = 5


class Rates(NamedTuple):
    """How many attempts and jobs there were recently, in one queue or in all."""

    per_minute: float
    """Attempts that ended, on average over the last `RATE_MINUTES`."""
    succeeded: int
    """Attempts that succeeded in the last hour."""
    failed: int
    """Attempts that failed in the last hour."""
    enqueued: int
    """Jobs that were enqueued in the last hour."""


class QueueRow(NamedTuple):
    """The figures of one queue."""

    name: str
    counts: counts.Counts
    oldest: Job | None
    """The pending job that was enqueued first."""
    hour: throughput.Step
    """Numbers of the last hour."""


class OverviewPage(NamedTuple):
    """The overview of all queues."""

    running: list[JobRow]
    queues: list[QueueRow]
    causes: list[DeadGroup]
    due_soon: list[Job]
    oldest: Job | None
    next_due_at_us: int | None
    rates: Rates
    recent: list[JobRow]


class QueuePage(NamedTuple):
    """The page of one queue."""

    row: QueueRow
    rates: Rates
    running: list[JobRow]
    causes: list[DeadGroup]
    waiting: list[JobRow]
    """Pending jobs in the order in which they will be claimed."""
    recent: list[JobRow]


class DueJobs(NamedTuple):
    """A page of retries and delayed jobs, soonest first."""

    jobs: list[Job]
    next: Due | None
    """The cursor of the page after this one; None if this is the last one."""


def overview_page(tx: Reader, source: Source, now_us: int) -> OverviewPage:
    """Return the overview of all queues."""
    oldest = ready.oldest_waiting(tx)
    due_soon = due_jobs(tx, None, DUE_JOBS_SHOWN)
    return OverviewPage(
        running=running(tx, source, now_us),
        queues=queue_rows(tx, now_us, QUEUES_SHOWN),
        causes=causes.dead_groups(tx, source, CAUSES_SHOWN),
        due_soon=due_soon.jobs,
        oldest=jobs.get(tx, oldest) if oldest else None,
        next_due_at_us=timers.earliest(tx),
        rates=rates(tx, now_us),
        recent=job_rows(tx, jobs.page(tx, jobs.Filter(), limit=RECENT_SHOWN), now_us),
    )


def queue_page(tx: Reader, source: Source, name: str, now_us: int) -> QueuePage | None:
    """Return the page of one queue; None if the queue never had a job."""
    totals = counts.by_queue(tx).get(name)
    if totals is None:
        return None
    waiting = ready.next_ready(tx, (name,), RECENT_SHOWN)
    ended = jobs.Filter(queue=name, states=("completed", "failed", "dead", "cancelled"))
    recent = sorted(
        jobs.page(tx, ended, limit=5 * RECENT_SHOWN), key=lambda job: -job.changed_at_us
    )
    return QueuePage(
        row=_queue_row(tx, name, totals, throughput.queues(tx, now_us - HOUR_US)),
        rates=rates(tx, now_us, name),
        running=running(tx, source, now_us, name),
        causes=causes.dead_groups(tx, source, CAUSES_SHOWN, name),
        waiting=job_rows(tx, waiting, now_us),
        recent=job_rows(tx, recent[:RECENT_SHOWN], now_us),
    )


def is_queue(tx: Reader, name: str) -> bool:
    """Return whether the queue ever had a job."""
    return name in counts.by_queue(tx)


def running(tx: Reader, source: Source, now_us: int, queue: str | None = None) -> list[JobRow]:
    """Return the jobs of living workers that have run longest, in one queue or in all."""
    claimed = jobs.oldest(tx, jobs.Filter(states=("processing",), queue=queue), 0, MAX_RUNNING_READ)
    slots = {worker.id: worker.started.slots for worker in source.living(tx)}
    begun = in_slots([job for job in claimed if job.worker in slots], slots)
    begun.sort(key=lambda job: job.changed_at_us)
    return job_rows(tx, begun[:RUNNING_SHOWN], now_us)


def in_slots(claimed: list[Job], slots: dict[str, int]) -> list[Job]:
    """Return the claimed jobs that occupy a slot. slots: number of slots, by id of the worker.

    A worker claims short jobs ahead of time and starts them in the order of their claims, so the
    first jobs of each worker, one per slot, are the running ones.
    """
    free_slots = dict(slots)
    begun: list[Job] = []
    for job in sorted(claimed, key=lambda job: job.position):
        free = free_slots.get(job.worker or "", 1)
        if free > 0:
            begun.append(job)
            free_slots[job.worker or ""] = free - 1 if job.worker in slots else free
    return begun


def queue_rows(tx: Reader, now_us: int, most: int = MAX_QUEUES) -> list[QueueRow]:
    """Return at most `most` queues: the ones with most unfinished jobs first, then by name."""
    queues = sorted(counts.by_queue(tx).items(), key=lambda item: (-_unfinished(item[1]), item[0]))
    hours = throughput.queues(tx, now_us - HOUR_US)
    return [_queue_row(tx, name, counted, hours) for name, counted in queues[:most]]


def _unfinished(counted: counts.Counts) -> int:
    states = counted.states
    return states["pending"] + states["processing"] + states["failed"] + states["scheduled"]


def _queue_row(
    tx: Reader, name: str, counted: counts.Counts, hours: dict[str, throughput.Step]
) -> QueueRow:
    oldest = ready.oldest_waiting(tx, name) if counted.states["pending"] else None
    hour = hours.get(name, throughput.Step(0, 0, 0, 0))
    return QueueRow(name, counted, jobs.get(tx, oldest) if oldest else None, hour)


def rates(tx: Reader, now_us: int, queue: str | None = None) -> Rates:
    """Return the numbers of the last minutes and the last hour, for one queue or for all."""
    hour = throughput.steps(tx, now_us - HOUR_US, 1, queue)
    since_us = now_us - RATE_MINUTES * throughput.MINUTE_US
    ended_lately = sum(
        step.succeeded + step.failed
        for step in hour
        if step.started_at_us + throughput.MINUTE_US > since_us
    )
    return Rates(
        per_minute=ended_lately / RATE_MINUTES,
        succeeded=sum(step.succeeded for step in hour),
        failed=sum(step.failed for step in hour),
        enqueued=sum(step.enqueued for step in hour),
    )


def due_jobs(tx: Reader, after: Due | None, limit: int) -> DueJobs:
    """Return a page of retries and delayed jobs, soonest first.

    after: the `next` of the page before; None for the first page.
    """
    due = timers.upcoming(tx, limit + 1, after)
    has_more = len(due) > limit
    return DueJobs(
        jobs.many(tx, (entry.born for entry in due[:limit])), due[limit - 1] if has_more else None
    )
