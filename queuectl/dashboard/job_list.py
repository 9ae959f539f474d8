"""The job list, one page at a time: filtered, searched and sorted at a bounded cost."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from msgspec.structs import replace

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import jobs, runs

Sort = Literal["newest", "oldest", "latest", "longest", "attempts"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "latest", "longest", "attempts")

SORTED_AMONG = 1_000
"""The number of newest jobs to read and sort if no index has the requested order."""
SEARCH_S = 0.07
"""Seconds that the search for one page may take; the next page continues where it stopped."""
SEARCH_WINDOW = 20_000
"""The number of log positions to search between two checks of the clock."""


class JobRow(NamedTuple):
    """A job in the list."""

    job: Job
    duration_us: int | None
    """How long its last attempt ran or has been running; None before the first attempt."""


class JobList(NamedTuple):
    """A page of jobs."""

    jobs: list[JobRow]
    next: int | None
    """The cursor of the page after this one."""
    searched_to: int | None = None
    """The position where a search stopped because its time was up; None if it did not."""
    sorted_among: int | None = None
    """How many jobs were sorted; None if this page has all matching jobs, or is in log order."""


def job_list(
    tx: Reader,
    which: jobs.Filter,
    cursor: int | None,
    limit: int,
    now_us: int,
    sort: Sort = "newest",
) -> JobList:
    """Return a page of at most `limit` jobs. cursor: the `next` of the page before this one."""
    if sort in ("latest", "longest", "attempts"):
        return _sorted(tx, which, cursor, limit, now_us, sort)
    if sort == "oldest":
        return _page(tx, jobs.oldest(tx, which, cursor or 0, limit + 1), limit, now_us)
    if which.search:
        return _searched(tx, which, cursor, limit, now_us)
    return _page(tx, jobs.page(tx, which, cursor, limit + 1), limit, now_us)


def _page(tx: Reader, matches: list[Job], limit: int, now_us: int) -> JobList:
    """Return a page with the first `limit` of the matches, and a cursor if there are more."""
    shown = matches[:limit]
    has_more = len(matches) > limit
    return JobList(job_rows(tx, shown, now_us), shown[-1].born if has_more else None)


def _searched(
    tx: Reader, which: jobs.Filter, cursor: int | None, limit: int, now_us: int
) -> JobList:
    """Search one window after the other, newest first, until the page is full or time is up."""
    upto = cursor or tx.head().position + 1
    matches = [] if cursor else _with_searched_id(tx, which)
    deadline_s = time.monotonic() + SEARCH_S
    while upto > 1 and len(matches) <= limit:
        floor = max(0, upto - 1 - SEARCH_WINDOW)
        window = replace(which, born_after=floor)
        page = jobs.page(tx, window, upto, limit + 1 - len(matches))
        matches += [job for job in page if job.id != which.search or cursor]
        upto = floor + 1
        if time.monotonic() > deadline_s:
            break
    if len(matches) > limit or upto <= 1:
        return _page(tx, matches, limit, now_us)
    return JobList(job_rows(tx, matches, now_us), upto, searched_to=upto)


def _with_searched_id(tx: Reader, which: jobs.Filter) -> list[Job]:
    """Return a list with the job whose id is the searched text.

    Empty if there is no such job, or if it does not match the other filters.
    """
    job = jobs.get(tx, which.search or "")
    if job is None or (which.states and job.state not in which.states):
        return []
    if which.queue not in (None, job.spec.queue):
        return []
    if which.tag and job.spec.tags.get(which.tag[0]) != which.tag[1]:
        return []
    return [job]


def _sorted(
    tx: Reader,
    which: jobs.Filter,
    cursor: int | None,
    limit: int,
    now_us: int,
    sort: Sort,
) -> JobList:
    """Return the first `limit` of the newest matches, sorted.

    The next page sorts the matches that are older than these.
    """
    newest = _newest(tx, which, cursor, now_us)
    keys: dict[str, Callable[[JobRow], int]] = {
        "latest": lambda row: row.job.changed_at_us,
        "longest": lambda row: -1 if row.duration_us is None else row.duration_us,
        "attempts": lambda row: row.job.attempts,
    }
    rows = sorted(newest.jobs, key=keys[sort], reverse=True)[:limit]
    is_part = newest.next is not None or len(newest.jobs) > limit
    return JobList(rows, newest.next, newest.searched_to, len(newest.jobs) if is_part else None)


def _newest(tx: Reader, which: jobs.Filter, cursor: int | None, now_us: int) -> JobList:
    if which.search:
        return _searched(tx, which, cursor, SORTED_AMONG, now_us)
    return _page(tx, jobs.page(tx, which, cursor, SORTED_AMONG + 1), SORTED_AMONG, now_us)


def job_rows(tx: Reader, page: list[Job], now_us: int) -> list[JobRow]:
    """Return these jobs with their durations."""
    return [JobRow(job, _duration_us(tx, job, now_us)) for job in page]


def _duration_us(tx: Reader, job: Job, now_us: int) -> int | None:
    if job.state == "processing":
        return max(0, now_us - job.changed_at_us)
    if job.attempt == 0:
        return None
    run = runs.get(tx, job.born, job.attempt)
    return run.duration_us if run else None
