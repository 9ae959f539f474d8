"""Find the workers that are alive, and leftover processes of attempts. It ends no process."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from eventstore.store import Reader, Store
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import jobs, workers

from ..worker import process_sweep
from ..worker.liveness import is_alive, living_processes, lock_names
from ..worker.process_mark import VARIABLE, mark_of


class CheckedWorker(NamedTuple):
    """A worker whose end is not recorded."""

    worker: Worker
    lives: bool
    """Whether the worker is alive."""
    claims: list[Job]
    """The jobs that it has claimed."""


def check_workers(store: Store, tx: Reader) -> list[CheckedWorker]:
    """Return the workers whose end is not recorded, each with whether it is alive."""
    return [
        CheckedWorker(worker, is_alive(store, worker), jobs.of_worker(tx, worker.id))
        for worker in workers.active(tx)
    ]


def marked(queue_key: str) -> dict[int, str]:
    """Return the cookie of each process that carries a mark of the queue with this key, by pid."""
    prefix = f"{VARIABLE}={queue_key}:".encode()
    cookies = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                claims = [line for line in file.read().split(b"\0") if line.startswith(prefix)]
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # it belongs to another user, or has ended
        if claims:
            cookies[pid] = claims[0].partition(b"=")[2].decode(errors="replace")
    return cookies


def left_behind(
    queue_key: str, before: dict[int, str], active: Iterable[CheckedWorker]
) -> tuple[list[int], bool]:
    """Return the pids of leftover processes, and whether a takeover would end all of them.

    A leftover process has the mark of an attempt that no living worker runs. before: the result of
    `marked`. Call it before reading the log, so that the log has the attempt of each mark.
    """
    living, lost = set(), []
    for worker, lives, claims in active:
        marks = [mark_of(queue_key, worker.started.token, job.id, job.attempt) for job in claims]
        if lives:
            living |= {mark.cookie for mark in marks}
        else:
            lost += marks
    claimed = set(process_sweep.survivors(lost))
    strays = {
        pid for pid, cookie in before.items() if cookie not in living and process_sweep.alive(pid)
    }
    strays -= {os.getpid(), os.getppid()}
    strays = {pid for pid in strays if not process_sweep.is_kept(pid)}
    return sorted(strays | claimed), strays <= claimed


def frozen(active: Iterable[CheckedWorker]) -> dict[str, list[int]]:
    """Return the pids of processes that are stopped (for example by SIGSTOP), by worker id."""
    stopped = {
        checked.worker.id: [
            pid for pid in living_processes(checked.worker) if process_sweep.stopped(pid)
        ]
        for checked in active
    }
    return {worker_id: pids for worker_id, pids in stopped.items() if pids}


def unendable_processes(
    queue_key: str, active: Iterable[CheckedWorker], now_us: int
) -> list[process_sweep.Unendable]:
    """Return the processes that no signal ends, of attempts that should have ended.

    now_us: the current time, UTC, microseconds since 1970.
    """
    marks = {
        mark_of(queue_key, worker.started.token, job.id, job.attempt)
        for worker, _, claims in active
        for job in claims
        if worker.stop == "now" or _is_to_end(job, now_us)
    }
    return process_sweep.find_unendable(marks) if marks else []


def _is_to_end(job: Job, now_us: int) -> bool:
    """Return whether a running job should have ended: it is being cancelled, or timed out."""
    timeout_us = job.spec.timeout_us
    return job.cancel_requested or (
        timeout_us is not None and now_us > job.changed_at_us + timeout_us + process_sweep.STUCK_US
    )


def unreachable(store: Store, active: Iterable[CheckedWorker]) -> tuple[int, list[str]]:
    """Return the number of workers on this machine, and the ids of the ones without a doorbell."""
    pids = store.listeners()
    here = [
        checked.worker
        for checked in active
        if checked.worker.started.pid in living_processes(checked.worker)
    ]
    return len(here), [worker.id for worker in here if worker.started.pid not in pids]


def lock_files(store: Store, active: Iterable[CheckedWorker]) -> tuple[int, list[str]]:
    """Return the number of lock files in use, and the sorted names of the others."""
    known = {name for checked in active for name in lock_names(checked.worker.id)}
    names = store.side_folder.names("locks")
    stale = [name for name in names if name not in known and not store.lock(name).is_held()]
    return len(names) - len(stale), sorted(stale)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except FileNotFoundError:  # macOS
        return []
