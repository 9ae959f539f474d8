"""What each page shows, read from one state of the queue: no page costs more as the log grows."""

from collections import deque
from typing import NamedTuple

from msgspec.structs import replace

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
    ready,
    runs,
    throughput,
    timers,
    workers,
)

PAGE = 50
RECENT = 10
HISTORY = 400
"""Events of one job on its page; the log's page has the rest."""
LOOK_BACK = 20_000
"""Events looked at for one page of a type; where there is more, the page says so."""
SEARCHED_BACK = 100_000
"""Positions that one page of a search looks back over: no index leads by words."""
ENDED_WORKERS = 20
HOUR_US = 3_600_000_000


class Frame(NamedTuple):
    """What stands around every page."""

    head: Head
    counts: counts.Counts
    workers: list[Worker]


class Overview(NamedTuple):
    """The queue at a glance."""

    minutes: list[throughput.Minute]
    oldest: Job | None
    next_due_at_us: int | None
    recent: list[Job]


class JobList(NamedTuple):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next: int | None
    """`before` of the page after this one."""
    looked_back_to: int | None
    """Where a search stopped short of a full page."""


class JobPage(NamedTuple):
    """One job, whole."""

    job: Job
    runs: list[runs.Run]
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


def overview(tx: SqliteReader, now_us: int) -> Overview:
    """The queue at a glance, with the last hour up to `now_us`."""
    oldest = ready.oldest_waiting(tx)
    return Overview(
        minutes=throughput.since(tx, now_us - HOUR_US),
        oldest=jobs.get(tx, oldest) if oldest else None,
        next_due_at_us=timers.earliest(tx),
        recent=jobs.page(tx, jobs.Filter(), limit=RECENT),
    )


def job_list(tx: SqliteReader, which: jobs.Filter, before: int | None, limit: int) -> JobList:
    """At most `limit` jobs from below `before` on; a search looks back only so far."""
    floor = 0
    if which.search:
        floor = max(0, (before or tx.head().position + 1) - SEARCHED_BACK)
        which = replace(which, born_after=floor)
    found = jobs.page(tx, which, before, limit + 1)
    if len(found) > limit:
        return JobList(found[:limit], found[limit - 1].born, None)
    return JobList(found, floor + 1 if floor else None, floor or None)


def queues(tx: SqliteReader) -> list[str]:
    """The names of all queues that ever had a job."""
    return sorted(counts.by_queue(tx))


def job_page(tx: SqliteReader, job_id: str) -> JobPage | None:
    """One job, whole; None where there is none."""
    job = jobs.get(tx, job_id)
    if job is None:
        return None
    events = deque(tx.events(stream=job_id), maxlen=HISTORY)
    return JobPage(
        job=job,
        runs=runs.of_job(tx, job.born),
        events=list(events),
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
    found = deque(
        (one for one in tx.events(0, end, stream) if kind in (None, one.type)), maxlen=limit + 1
    )
    events = list(found)[::-1]
    more = len(events) > limit
    return EventList(events[:limit], events[limit - 1].position if more else None, None)


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
