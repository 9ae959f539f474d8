"""Waiting for jobs to end, woken by the log; for `wait`, and for `Queue.wait`."""

import os
import time
from collections.abc import Callable, Sequence

from eventstore.file_identity import file_identity
from eventstore.location import Location
from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import FINAL, Job
from projections.read_models import jobs

from ..errors import BadInput, NoSuchJob, TimedOut, WaitsForItself
from ..text.durations import SECOND_US, duration
from .snapshot import Reading

Looked = Callable[[SqliteReader, Sequence[Job]], None]
"""Is called after each look with the transaction and the jobs that have not ended."""


def wait_for(
    reading: Reading,
    job_ids: Sequence[str],
    *,
    timeout_s: float | None = None,
    any_of: bool = False,
    looked: Looked | None = None,
    look_s: float | None = None,
) -> list[Job]:
    """Do what `Queue.wait` does, for a caller that only reads.

    look_s: how often to look at least, also if the log does not grow.
    """
    if any_of and not job_ids:
        raise BadInput("any_of needs at least one job id")
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    reading.listen()
    found: dict[str, Job] = {}
    while True:
        with reading.read() as tx:
            _look(tx, job_ids, found)
            waiting = [job for job in found.values() if job.state not in FINAL]
            if not any_of or len(found) == 1:
                _refuse_itself(tx, reading.location, waiting)
            if looked:
                looked(tx, waiting)
        if not waiting or (any_of and len(waiting) < len(found)):
            return [found[job_id] for job_id in job_ids]
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            timeout_s = timeout_s or 0
            in_words = duration(round(timeout_s * SECOND_US))
            raise TimedOut([(job.id, job.state) for job in waiting], timeout_s, in_words)
        reading.await_more(left if look_s is None else min(look_s, left or look_s))


def running_here(tx: SqliteReader, location: Location) -> Job | None:
    """The job of this queue whose running attempt started this process; None outside a job.

    The variables may be inherited by a process that outlives the attempt: then it is None, too.
    """
    job_id, path = os.environ.get("QUEUECTL_JOB"), os.environ.get("QUEUECTL_DB")
    if not job_id or not path or file_identity(path) != file_identity(location.path):
        return None
    job = jobs.get(tx, job_id)
    attempt = os.environ.get("QUEUECTL_ATTEMPT")
    runs = job is not None and job.state == "processing" and str(job.attempt) == attempt
    return job if runs else None


def refuse_itself(tx: SqliteReader, location: Location, job_id: str) -> None:
    """Raise WaitsForItself if that job runs this process."""
    job = running_here(tx, location)
    if job is not None and job.id == job_id:
        raise WaitsForItself(job_id)


def _refuse_itself(tx: SqliteReader, location: Location, waiting: Sequence[Job]) -> None:
    if "QUEUECTL_JOB" in os.environ:
        for job in waiting:
            refuse_itself(tx, location, job.id)


def _look(tx: SqliteReader, job_ids: Sequence[str], found: dict[str, Job]) -> None:
    """Read the jobs that have not ended. Once all have, read all: `dlq retry` reopens jobs."""
    waiting = [job_id for job_id in job_ids if not _ended(found, job_id)]
    found |= {job_id: _existing(tx, job_id) for job_id in waiting}
    if waiting and all(_ended(found, job_id) for job_id in waiting):
        found |= {job_id: _existing(tx, job_id) for job_id in job_ids}


def _ended(found: dict[str, Job], job_id: str) -> bool:
    return job_id in found and found[job_id].state in FINAL


def _existing(tx: SqliteReader, job_id: str) -> Job:
    if (job := jobs.get(tx, job_id)) is None:
        raise NoSuchJob(job_id)
    return job
