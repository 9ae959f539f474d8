"""The job list: filtered, searched, sorted, a page at a time, at a cost that has a bound."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import Job
from projections.read_models import jobs, runs

Sort = Literal["newest", "oldest", "latest", "longest", "attempts"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "latest", "longest", "attempts")

SORTED_AMONG = 1_000
"""Jobs that are read to sort them by what no index leads by."""
SEARCH_S = 0.07
"""How long one page of a search may look back; the next page continues from there."""
SEARCH_WINDOW = 20_000
"""Positions of the log that are searched between two looks at the clock."""


class Listed(NamedTuple):
    """A job, and how long its last attempt ran or has been running: microseconds, or null."""

    job: Job
    duration_us: int | None


class JobList(NamedTuple):
    """A page of jobs."""

    jobs: list[Listed]
    next: int | None
    """Where the page after this one continues."""
    searched_to: int | None = None
    """Position at which a search was interrupted before the page was full."""
    sorted_among: int | None = None
    """How many jobs were sorted, where that is not all of them."""


def job_list(
    tx: SqliteReader,
    which: jobs.Filter,
    cursor: int | None,
    limit: int,
    now_us: int,
    sort: Sort = "newest",
) -> JobList:
    """A page of at most `limit` jobs from `cursor` on, which is the `next` of the page before."""
    if sort in ("latest", "longest", "attempts"):
        return _sorted(tx, which, cursor, limit, now_us, sort)
    if sort == "oldest":
        found = jobs.oldest(tx, which, cursor or 0, limit + 1)
        return _page(tx, found, limit, now_us)
    if which.search:
        return _searched(tx, which, cursor, limit, now_us)
    return _page(tx, jobs.page(tx, which, cursor, limit + 1), limit, now_us)


def _page(tx: SqliteReader, found: list[Job], limit: int, now_us: int) -> JobList:
    more = len(found) > limit
    shown = found[:limit]
    return JobList(listed(tx, shown, now_us), shown[-1].born if more else None)


def _searched(
    tx: SqliteReader, which: jobs.Filter, cursor: int | None, limit: int, now_us: int
) -> JobList:
    """Search window by window, newest first, until the page is full or the time is up."""
    upto = cursor or tx.head().position + 1
    found = [] if cursor else _exact(tx, which)
    deadline_s = time.monotonic() + SEARCH_S
    while upto > 1 and len(found) <= limit:
        floor = max(0, upto - 1 - SEARCH_WINDOW)
        window = replace(which, born_after=floor)
        matches = jobs.page(tx, window, upto, limit + 1 - len(found))
        found += [job for job in matches if job.id != which.search or cursor]
        upto = floor + 1
        if time.monotonic() > deadline_s:
            break
    if len(found) > limit or upto <= 1:
        return _page(tx, found, limit, now_us)
    return JobList(listed(tx, found, now_us), upto, searched_to=upto)


def _exact(tx: SqliteReader, which: jobs.Filter) -> list[Job]:
    """The job whose id was searched for, if the other filters let it through."""
    job = jobs.get(tx, which.search or "")
    if job is None or (which.states and job.state not in which.states):
        return []
    if which.queue not in (None, job.spec.queue):
        return []
    if which.tag and job.spec.tags.get(which.tag[0]) != which.tag[1]:
        return []
    return [job]


def _sorted(
    tx: SqliteReader,
    which: jobs.Filter,
    cursor: int | None,
    limit: int,
    now_us: int,
    sort: Sort,
) -> JobList:
    """The first of the newest matching jobs, sorted; the next page sorts the ones before them."""
    among = _among(tx, which, cursor, now_us)
    keys: dict[str, Callable[[Listed], int]] = {
        "latest": lambda row: row.job.changed_at_us,
        "longest": lambda row: -1 if row.duration_us is None else row.duration_us,
        "attempts": lambda row: row.job.attempts,
    }
    rows = sorted(among.jobs, key=keys[sort], reverse=True)[:limit]
    cut = among.next is not None or len(among.jobs) > limit
    return JobList(rows, among.next, among.searched_to, len(among.jobs) if cut else None)


def _among(tx: SqliteReader, which: jobs.Filter, cursor: int | None, now_us: int) -> JobList:
    if which.search:
        return _searched(tx, which, cursor, SORTED_AMONG, now_us)
    return _page(tx, jobs.page(tx, which, cursor, SORTED_AMONG + 1), SORTED_AMONG, now_us)


def listed(tx: SqliteReader, found: list[Job], now_us: int) -> list[Listed]:
    """These jobs with their durations."""
    return [Listed(job, _duration_us(tx, job, now_us)) for job in found]


def _duration_us(tx: SqliteReader, job: Job, now_us: int) -> int | None:
    if job.state == "processing":
        return max(0, now_us - job.changed_at_us)
    if job.attempt == 0:
        return None
    run = runs.get(tx, job.born, job.attempt)
    return run.duration_us if run else None
