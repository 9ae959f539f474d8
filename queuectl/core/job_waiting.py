"""Waiting for jobs to end, woken by new events: for the command `wait` and for `Queue.wait`."""

import os
import time
from collections.abc import Callable, Sequence

from eventstore.errors import Moved
from eventstore.location import Location, leads_to
from eventstore.store import Reader
from projections.folds.job import FINAL, Job
from projections.read_models import jobs, moves

from ..errors import BadInput, NoSuchJob, TimedOut, WaitsForItself
from ..text.durations import SECOND_US, duration
from .snapshot import Reading

OnCheck = Callable[[Reader, Sequence[Job]], None]
"""Called after each check with its transaction and the jobs that have not ended."""


def wait_for(
    reading: Reading,
    job_ids: Sequence[str],
    *,
    timeout_s: float | None = None,
    any_of: bool = False,
    on_check: OnCheck | None = None,
    check_s: float | None = None,
) -> list[Job]:
    """Wait until all of these jobs have ended; with `any_of`, until one of them has.

    Return the jobs in the given order. timeout_s: None waits without limit. check_s: the longest
    time between two checks, even if there are no new events. Raises NoSuchJob, TimedOut,
    WaitsForItself for the job that runs this program, Moved if the queue has moved, and BadInput
    for `any_of` without ids.
    """
    if any_of and not job_ids:
        raise BadInput("any_of needs at least one job id")
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    reading.listen()
    by_id: dict[str, Job] = {}
    while True:
        with reading.read() as tx:
            _read_jobs(tx, job_ids, by_id)
            waiting = [job for job in by_id.values() if job.state not in FINAL]
            if not any_of or len(by_id) == 1:
                _refuse_own_jobs(tx, reading.location, waiting)
            if on_check:
                on_check(tx, waiting)
            if waiting and (move := moves.move(tx)):
                raise Moved(reading.location.name, move.to)
        if not waiting or (any_of and len(waiting) < len(by_id)):
            return [by_id[job_id] for job_id in job_ids]
        remaining_s = None if deadline is None else deadline - time.monotonic()
        if remaining_s is not None and remaining_s <= 0:
            timeout_s = timeout_s or 0
            in_words = duration(round(timeout_s * SECOND_US))
            raise TimedOut([(job.id, job.state) for job in waiting], timeout_s, in_words)
        reading.await_more(remaining_s if check_s is None else min(check_s, remaining_s or check_s))


def running_here(tx: Reader, location: Location) -> Job | None:
    """Return the job of this queue whose running attempt includes this process; None if none does.

    A process that outlives its attempt still has the variables; for it, return None too.
    """
    job_id, queue_path = os.environ.get("QUEUECTL_JOB"), os.environ.get("QUEUECTL_DB")
    if not job_id or not queue_path or not leads_to(queue_path, location):
        return None
    job = jobs.get(tx, job_id)
    attempt = os.environ.get("QUEUECTL_ATTEMPT")
    is_running = job is not None and job.state == "processing" and str(job.attempt) == attempt
    return job if is_running else None


def refuse_own_job(tx: Reader, location: Location, job_id: str) -> None:
    """Raise WaitsForItself if this process belongs to the job."""
    job = running_here(tx, location)
    if job is not None and job.id == job_id:
        raise WaitsForItself(job_id)


def _refuse_own_jobs(tx: Reader, location: Location, waiting: Sequence[Job]) -> None:
    """Raise WaitsForItself if this process belongs to one of the jobs."""
    if "QUEUECTL_JOB" in os.environ:
        for job in waiting:
            refuse_own_job(tx, location, job.id)


def _read_jobs(tx: Reader, job_ids: Sequence[str], by_id: dict[str, Job]) -> None:
    """Read the jobs that have not ended into `by_id`. When all have ended, read all of them again.

    A job that had ended may have been requeued since then, by `dlq retry`.
    """
    waiting = [job_id for job_id in job_ids if not _ended(by_id, job_id)]
    by_id |= {job_id: _existing(tx, job_id) for job_id in waiting}
    if waiting and all(_ended(by_id, job_id) for job_id in waiting):
        by_id |= {job_id: _existing(tx, job_id) for job_id in job_ids}


def _ended(by_id: dict[str, Job], job_id: str) -> bool:
    return job_id in by_id and by_id[job_id].state in FINAL


def _existing(tx: Reader, job_id: str) -> Job:
    if (job := jobs.get(tx, job_id)) is None:
        raise NoSuchJob(job_id)
    return job
