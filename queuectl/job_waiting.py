"""Waiting for jobs to end, woken by the log; for `wait`, and for `Queue.wait`."""

import os
import time
from collections.abc import Callable, Sequence

from eventstore.location import identity
from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import FINAL, Job
from projections.read_models import jobs

from .errors import BadInput, NoSuchJob, TimedOut, WaitsForItself
from .reading import Reading

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
    reading.hang_bell()
    found: dict[str, Job] = {}
    while True:
        with reading.read() as tx:
            _look(tx, job_ids, found)
            waiting = [job for job in found.values() if job.state not in FINAL]
            if not any_of or len(found) == 1:
                _refuse_itself(reading, waiting)
            if looked:
                looked(tx, waiting)
        if not waiting or (any_of and len(waiting) < len(found)):
            return [found[job_id] for job_id in job_ids]
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimedOut([(job.id, job.state) for job in waiting], timeout_s or 0)
        reading.await_more(left if look_s is None else min(look_s, left or look_s))


def running_job(reading: Reading) -> str | None:
    """The id of the job of this queue that this process was started by; None outside a job.

    The variables may be inherited by a process that outlives the job: the caller checks its state.
    """
    path = os.environ.get("QUEUECTL_DB")
    if path is None or identity(path) != identity(reading.location.path):
        return None
    return os.environ.get("QUEUECTL_JOB")


def refuse_itself(reading: Reading, job: Job) -> None:
    """Raise WaitsForItself if `job` is the running attempt that started this process."""
    attempt = os.environ.get("QUEUECTL_ATTEMPT")
    if job.id == running_job(reading) and job.state == "processing" and attempt == str(job.attempt):
        raise WaitsForItself(job.id)


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


def _refuse_itself(reading: Reading, waiting: Sequence[Job]) -> None:
    for job in waiting:
        refuse_itself(reading, job)
