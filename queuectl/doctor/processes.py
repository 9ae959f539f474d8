"""Who lives: workers, and processes that attempts left behind. Only looked at, never ended."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from eventstore.sqlite.log import SqliteStore
from eventstore.store import Reader
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import jobs, workers

from ..worker import process_sweep
from ..worker.keeper import is_kept
from ..worker.process_mark import VARIABLE, mark_of
from ..worker.takeover import boot_id, lock_names, processes


class Seen(NamedTuple):
    """A worker that has not ended as far as the log knows."""

    worker: Worker
    lives: bool
    claims: list[Job]


def look(store: SqliteStore, tx: Reader) -> list[Seen]:
    """The workers that the log takes for living."""
    return [
        Seen(worker, lives(store, worker), jobs.of_worker(tx, worker.id))
        for worker in workers.active(tx)
    ]


def lives(store: SqliteStore, worker: Worker) -> bool:
    """Whether one of its two processes runs, or, unseen from here, holds its lock."""
    started = worker.started
    pids = (
        (started.pid, started.pid_started),
        (started.keeper_pid, started.keeper_pid_started),
    )
    if started.boot_id == boot_id() and any(_runs(pid, at) for pid, at in pids):
        return True
    return any(_held(store, name) for name in lock_names(worker.id))


def _runs(pid: int, started: int) -> bool:
    return process_sweep.started(pid) == started and process_sweep.alive(pid)


def _held(store: SqliteStore, name: str) -> bool:
    """Only asked of a worker whose processes are gone: to try a lock is to take it for a moment."""
    if store.side_folder.existing("locks") is None:
        return False
    return store.lock(name).is_held()


def marked(identity: tuple[int, int]) -> dict[int, str]:
    """The claim that each process carries in its environment, by pid, for claims of this file."""
    device, inode = identity
    prefix = f"{VARIABLE}={device}:{inode}:".encode()
    found = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                words = [one for one in file.read().split(b"\0") if one.startswith(prefix)]
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # another user's, or gone
        if words:
            found[pid] = words[0].partition(b"=")[2].decode(errors="replace")
    return found


def left_behind(
    identity: tuple[int, int], before: dict[int, str], seen: Iterable[Seen]
) -> tuple[list[int], bool]:
    """Pids of what runs on although its attempt is over, and whether a takeover would end them all.

    before: what `marked` said before the log was read, so that no attempt is too new for the log.
    """
    living, lost = set(), []
    for worker, lives_, claims in seen:
        marks = [mark_of(identity, worker.started.token, job.id, job.attempt) for job in claims]
        if lives_:
            living |= {mark.cookie for mark in marks}
        else:
            lost += marks
    claimed = set(process_sweep.survivors(lost))
    strays = {
        pid for pid, cookie in before.items() if cookie not in living and process_sweep.alive(pid)
    }
    strays -= {os.getpid(), os.getppid()}
    strays = {pid for pid in strays if not is_kept(pid)}
    return sorted(strays | claimed), strays <= claimed


def frozen(seen: Iterable[Seen]) -> dict[str, list[int]]:
    """By worker: which of its processes are stopped, as by SIGSTOP."""
    stopped = {
        one.worker.id: [pid for pid in processes(one.worker) if process_sweep.stopped(pid)]
        for one in seen
    }
    return {worker_id: pids for worker_id, pids in stopped.items() if pids}


def unendable(
    identity: tuple[int, int], seen: Iterable[Seen], now_us: int
) -> list[process_sweep.Unendable]:
    """Processes that no signal ends, of running attempts that were to end by now."""
    marks = {
        mark_of(identity, worker.started.token, job.id, job.attempt)
        for worker, _, claims in seen
        for job in claims
        if worker.stop == "now" or _is_to_end(job, now_us)
    }
    return process_sweep.unendable(marks) if marks else []


def _is_to_end(job: Job, now_us: int) -> bool:
    """Whether someone cancelled the job, or its timeout has passed."""
    timeout_us = job.spec.timeout_us
    return job.cancel_requested or (
        timeout_us is not None and now_us > job.changed_at_us + timeout_us + process_sweep.STUCK_US
    )


def unreachable(store: SqliteStore, seen: Iterable[Seen]) -> tuple[int, list[str]]:
    """How many workers run on this machine, and which of them have no doorbell."""
    folder = store.side_folder.existing("bells")
    names = os.listdir(folder) if folder is not None else []
    pids = {name.partition("-")[0] for name in names}
    here = [one.worker for one in seen if one.worker.started.pid in processes(one.worker)]
    return len(here), [worker.id for worker in here if str(worker.started.pid) not in pids]


def lock_files(store: SqliteStore, seen: Iterable[Seen]) -> tuple[int, list[str]]:
    """How many lock files there are that somebody holds, and which nobody needs any more."""
    folder = store.side_folder.existing("locks")
    if folder is None:
        return 0, []
    known = {name for one in seen for name in lock_names(one.worker.id)}
    names = os.listdir(folder)
    stale = [name for name in names if name not in known and not _held(store, name)]
    return len(names) - len(stale), sorted(stale)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except FileNotFoundError:  # macOS
        return []
