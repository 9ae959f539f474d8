"""What each page shows, read from one state of the queue: no page costs more as the log grows."""

from typing import NamedTuple

from eventstore.events.recorded import Recorded
from eventstore.sqlite.reader import SqliteReader, recorded_from
from eventstore.store import Head
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

HISTORY = 400
"""Events of one job on its page; the log's page has the rest."""
ATTEMPTS = 200
"""Attempts of one job on its page."""
LOOK_BACK = 20_000
"""Events looked at for one page of a type; where there is more, the page says so."""
STREAM_PART = 1_000
STREAM_READS = 20
"""Parts of a stream that are read for one page of a type."""
ENDED_WORKERS = 20


class Frame(NamedTuple):
    """What stands around every page."""

    head: Head
    counts: counts.Counts
    workers: list[Worker]

    @property
    def slots(self) -> int:
        """Slots of all workers together."""
        return sum(worker.started.slots for worker in self.workers)

    @property
    def busy(self) -> int:
        """Slots in use. Jobs that were claimed ahead of time do not have one yet."""
        return min(self.counts.states["processing"], self.slots)


class JobPage(NamedTuple):
    """One job, whole."""

    job: Job
    runs: list[runs.Run]
    """The last of them."""
    events: list[Recorded]
    earlier: int
    """Events before the first of `events`."""
    context: Context | None


class EventList(NamedTuple):
    """A page of the log, newest first."""

    events: list[Recorded]
    next: int | None
    looked_back_to: int | None
    """Where the search for a type stopped short of a full page."""


class AtWork(NamedTuple):
    """A worker and what it runs."""

    worker: Worker
    jobs: list[Job]


class WorkerList(NamedTuple):
    """Who works, and who last did."""

    active: list[AtWork]
    ended: list[Worker]


def frame(tx: SqliteReader) -> Frame:
    """What stands around every page."""
    return Frame(tx.head(), counts.total(tx), workers.active(tx))


def queues(tx: SqliteReader) -> list[str]:
    """The names of all queues that ever had a job."""
    return sorted(counts.by_queue(tx))


def job_page(tx: SqliteReader, job_id: str) -> JobPage | None:
    """One job, whole; None where there is none."""
    job = jobs.get(tx, job_id)
    if job is None:
        return None
    events = tx.newest(job_id, HISTORY)[::-1]
    return JobPage(
        job=job,
        runs=runs.latest(tx, job.born, ATTEMPTS),
        events=events,
        earlier=job.version - len(events),
        context=contexts.get(tx, job.spec.context),
    )


def event_list(
    tx: SqliteReader, stream: str | None, kind: str | None, before: int | None, limit: int
) -> EventList:
    """At most `limit` events from below `before` on, of one stream, of one type, or of all."""
    end = tx.head().position if before is None else before - 1
    if end <= 0:
        return EventList([], None, None)
    if stream is not None:
        return _of_stream(tx, stream, kind, end, limit)
    if kind is not None:
        return _of_type(tx, kind, end, limit)
    start = max(0, end - limit)
    events = list(tx.events(start, end))[::-1]
    return EventList(events, start + 1 if start else None, None)


def _of_stream(tx: SqliteReader, stream: str, kind: str | None, end: int, limit: int) -> EventList:
    if kind is None:
        events = tx.newest(stream, limit + 1, end + 1)
        more = len(events) > limit
        return EventList(events[:limit], events[limit - 1].position if more else None, None)
    found: list[Recorded] = []
    upto = end + 1
    for _ in range(STREAM_READS):
        part = tx.newest(stream, STREAM_PART, upto)
        found += [event for event in part if event.type == kind]
        if len(found) > limit:
            return EventList(found[:limit], found[limit - 1].position, None)
        if len(part) < STREAM_PART:
            return EventList(found, None, None)
        upto = part[-1].position
    return EventList(found, upto, upto)


def _of_type(tx: SqliteReader, kind: str, end: int, limit: int) -> EventList:
    """No index leads by type, so the log is read backwards, only so far for one page."""
    floor = max(0, end - LOOK_BACK)
    found: list[Recorded] = []
    upto = end
    while upto > floor and len(found) < limit:
        after = max(floor, upto - 1000)
        part = [recorded_from(raw) for raw in tx.raw(after, upto) if raw.type == kind]
        found += part[::-1]
        upto = after
    if len(found) >= limit:
        return EventList(found[:limit], found[limit - 1].position, None)
    return EventList(found, floor + 1 if floor else None, floor + 1 if floor else None)


def worker_list(tx: SqliteReader) -> WorkerList:
    """Who works, and who last did."""
    active = [AtWork(worker, jobs.of_worker(tx, worker.id)) for worker in workers.active(tx)]
    ended = [one for one in workers.newest(tx, ENDED_WORKERS + len(active)) if not one.active]
    return WorkerList(active, ended[:ENDED_WORKERS])
