"""Queries of the pages, in one snapshot of the queue; their cost does not grow with the log."""

from typing import NamedTuple

from eventstore.codec import recorded_from
from eventstore.events.recorded import Recorded
from eventstore.store import Head, Reader
from projections.folds.context import Context
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import (
    contexts,
    counts,
    jobs,
    runs,
    workers,
)

from .connections import Source

EVENTS_SHOWN = 400
"""Events of a job on its page; the page of the log shows the rest."""
ATTEMPTS_SHOWN = 200
"""Attempts of a job on its page."""
MAX_EVENTS_SEARCHED = 20_000
"""Most events to search for a page of events of one type.

If the search stops there, the page says so.
"""
READ_SIZE = 1_000
"""Events in one read."""
MAX_STREAM_READS = 20
"""Most reads of a stream for a page of events of one type."""
ENDED_WORKERS_SHOWN = 20


class Frame(NamedTuple):
    """The data in the header and the menu of every page."""

    head: Head
    counts: counts.Counts
    workers: list[Worker]
    """The workers that are alive."""
    dead: list[Worker]
    """The workers that died and whose jobs no other worker has taken over yet."""
    claimed: int
    """Jobs that living workers run or have claimed."""

    @property
    def slots(self) -> int:
        """The slots of all workers together."""
        return sum(worker.started.slots for worker in self.workers)

    @property
    def busy(self) -> int:
        """The slots in use. Jobs that are claimed ahead of time do not occupy one."""
        return min(self.claimed, self.slots)


class JobView(NamedTuple):
    """The page of one job."""

    job: Job
    runs: list[runs.Run]
    """The last attempts, at most ATTEMPTS_SHOWN."""
    events: list[Recorded]
    earlier: int
    """How many events precede the first of `events`."""
    context: Context | None


class EventList(NamedTuple):
    """A page of the log, newest first."""

    events: list[Recorded]
    next_before: int | None
    """The `before` of the next page; None if this is the last one."""
    searched_to: int | None
    """Where the search stopped before the page was full; None if it did not stop early."""


class ActiveWorker(NamedTuple):
    """A worker and the jobs that it has claimed."""

    worker: Worker
    jobs: list[Job]
    alive: bool


class WorkerList(NamedTuple):
    """The active workers, and the ones that ended last."""

    active: list[ActiveWorker]
    ended: list[Worker]


def frame(tx: Reader, source: Source) -> Frame:
    """Return the data in the header and the menu of every page."""
    living, totals = source.living(tx), counts.total(tx)
    dead = [worker for worker in workers.active(tx) if worker not in living]
    claims_of_dead = sum(len(jobs.of_worker(tx, worker.id)) for worker in dead)
    return Frame(tx.head(), totals, living, dead, totals.states["processing"] - claims_of_dead)


def queue_names(tx: Reader) -> list[str]:
    """Return the names of all queues that ever had a job, sorted."""
    return sorted(counts.by_queue(tx))


def job_view(tx: Reader, job_id: str) -> JobView | None:
    """Return the page of one job; None if there is no such job."""
    job = jobs.get(tx, job_id)
    if job is None:
        return None
    events = tx.newest(job_id, EVENTS_SHOWN)[::-1]
    return JobView(
        job=job,
        runs=runs.latest(tx, job.born, ATTEMPTS_SHOWN),
        events=events,
        earlier=job.version - len(events),
        context=contexts.get(tx, job.spec.context),
    )


def event_list(
    tx: Reader, stream: str | None, event_type: str | None, before: int | None, limit: int
) -> EventList:
    """Return at most `limit` events before the position `before`, newest first.

    stream, event_type: only events of this stream, of this type; None for all.
    """
    end = tx.head().position if before is None else before - 1
    if end <= 0:
        return EventList([], None, None)
    if stream is not None:
        return _of_stream(tx, stream, event_type, end, limit)
    if event_type is not None:
        return _of_type(tx, event_type, end, limit)
    start = max(0, end - limit)
    events = list(tx.events(start, end))[::-1]
    return EventList(events, start + 1 if start else None, None)


def _of_stream(tx: Reader, stream: str, event_type: str | None, end: int, limit: int) -> EventList:
    if event_type is None:
        events = tx.newest(stream, limit + 1, end + 1)
        more = len(events) > limit
        return EventList(events[:limit], events[limit - 1].position if more else None, None)
    matches: list[Recorded] = []
    upto = end + 1
    for _ in range(MAX_STREAM_READS):
        events = tx.newest(stream, READ_SIZE, upto)
        matches += [event for event in events if event.type == event_type]
        if len(matches) > limit:
            return EventList(matches[:limit], matches[limit - 1].position, None)
        if len(events) < READ_SIZE:
            return EventList(matches, None, None)
        upto = events[-1].position
    return EventList(matches, upto, upto)


def _of_type(tx: Reader, event_type: str, end: int, limit: int) -> EventList:
    """Search the log backwards: no index is sorted by type."""
    floor = max(0, end - MAX_EVENTS_SEARCHED)
    matches: list[Recorded] = []
    upto = end
    while upto > floor and len(matches) < limit:
        after = max(floor, upto - READ_SIZE)
        events = [recorded_from(raw) for raw in tx.raw(after, upto) if raw.type == event_type]
        matches += events[::-1]
        upto = after
    if len(matches) >= limit:
        return EventList(matches[:limit], matches[limit - 1].position, None)
    return EventList(matches, floor + 1 if floor else None, floor + 1 if floor else None)


def active_workers(tx: Reader, source: Source) -> list[ActiveWorker]:
    """Return the workers that have not ended as far as the log knows, with their jobs."""
    living = source.living(tx)
    return [
        ActiveWorker(worker, jobs.of_worker(tx, worker.id), worker in living)
        for worker in workers.active(tx)
    ]


def worker_list(tx: Reader, source: Source) -> WorkerList:
    """Return the active workers with their jobs, and the workers that ended last."""
    active = active_workers(tx, source)
    newest = workers.newest(tx, ENDED_WORKERS_SHOWN + len(active))
    ended = [worker for worker in newest if not worker.active]
    return WorkerList(active, ended[:ENDED_WORKERS_SHOWN])
