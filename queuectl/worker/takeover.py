"""The claims of a dead worker: its locks are free, its processes gone, only then recorded lost."""

import os
from collections.abc import Iterable
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals

from eventstore.errors import Busy, Full
from eventstore.file_identity import file_identity
from eventstore.sqlite.lock import SqliteLock
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import jobs, workers

from ..api import Queue
from ..core.requests import Lose, LoseWorker
from ..text.numbers import plural
from . import process_sweep
from .console import Telling
from .process_mark import mark_of
from .selector import Waiting


class Peers:
    """The other workers of this queue, watched by their processes' ends and by a look at times."""

    def __init__(self, queue: Queue, worker_id: str, waiting: Waiting, telling: Telling) -> None:
        self._queue, self._worker_id = queue, worker_id
        self._waiting, self._telling = waiting, telling
        self._known: dict[str, Worker] = {}

    def look(self, active: list[Worker], *, again: bool) -> None:
        """Take over from those that are dead, watch the others. again: also those known to live."""
        peers = {peer.id: peer for peer in active if peer.id != self._worker_id}
        for gone in self._known.keys() - peers.keys():
            self._forget(gone)
        for peer in peers.values():
            if again or peer.id not in self._known:
                self._meet(peer)
        for worker in active if again else ():
            wake(worker)

    def died(self, worker_id: str) -> None:
        """A process of this worker has ended; its other one may still tidy up."""
        if worker_id in self._known:
            self._meet(self._known[worker_id])

    def _meet(self, peer: Worker) -> None:
        try:
            lost = take_over(self._queue, peer, self._worker_id)
        except (Full, Busy):
            lost = None  # at the next look, then
        if lost is not None:
            self._forget(peer.id)
            count = plural(len(lost), "job") if lost else "no job"
            self._telling.say(f"took over {count} of worker {peer.id}, which had died")
            for job in self._dead(lost):
                self._telling.died(job)
            return
        self._known[peer.id] = peer
        started = peer.started
        self._waiting.watch(
            peer.id,
            (started.pid, started.pid_started),
            (started.keeper_pid, started.keeper_pid_started),
        )

    def _dead(self, job_ids: list[str]) -> list[Job]:
        with self._queue.read() as tx:
            now = [jobs.get(tx, job_id) for job_id in job_ids]
        return [job for job in now if job and job.state == "dead"]

    def _forget(self, worker_id: str) -> None:
        self._known.pop(worker_id, None)
        self._waiting.unwatch(worker_id)


def lock_names(worker_id: str) -> tuple[str, str]:
    """The locks that live as long as a worker's supervisor, and as its keeper."""
    return f"worker-{worker_id}", f"worker-{worker_id}.keeper"


def take_over(queue: Queue, worker: Worker, found_by: str) -> list[str] | None:
    """Put back what a dead worker had claimed: the job ids.

    None where anything of it lives, or where it has ended otherwise meanwhile.

    A worker lives as long as its locks are held. Whoever takes over holds them meanwhile, so that
    two who find it dead do it once.
    """
    locks = _free_locks(queue, worker)
    if locks is None:
        return None
    try:
        with queue.read() as tx:
            claims = jobs.of_worker(tx, worker.id)
        token = worker.started.token
        marks = [mark_of(queue.store.identity, token, job.id, job.attempt) for job in claims]
        if not process_sweep.end(marks):
            return None
        with queue.write(found_by) as session:
            asked = LoseWorker(worker_id=worker.id, found_by=found_by)
            if not isinstance(session.send(asked), Worker):
                return None  # it had left in order, just before its locks came free
            for job in claims:
                session.send(Lose(job_id=job.id, attempt=job.attempt, worker=worker.id))
        for lock in locks:
            lock.remove()
        return [job.id for job in claims]
    finally:
        for lock in locks:
            lock.release()


def _free_locks(queue: Queue, worker: Worker) -> list[SqliteLock] | None:
    """Both locks of a dead worker, held by us; None while it lives.

    Where a lock's file is gone, the worker lives as long as its process has this queue file open.
    """
    held: list[SqliteLock] = []
    for name in lock_names(worker.id):
        lock = queue.store.lock(name)
        try:
            free = lock.acquire_existing()
        except FileNotFoundError:
            free = not _has_open(worker, queue.store.identity)
        else:
            held.append(lock)
        if not free:
            for other in held:
                other.release()
            return None
    return held


def processes(worker: Worker) -> list[int]:
    """Pids of a worker's keeper and supervisor, of those that live on this machine."""
    started = worker.started
    if started.boot_id != boot_id():
        return []
    both = (
        (started.keeper_pid, started.keeper_pid_started),
        (started.pid, started.pid_started),
    )
    return [
        pid
        for pid, began in both
        if process_sweep.started(pid) == began and process_sweep.alive(pid)
    ]


def keeper_of(worker: Worker) -> tuple[str, int, int]:
    """What identifies a worker's keeper: boot, pid and start time of the process."""
    started = worker.started
    return started.boot_id, started.keeper_pid, started.keeper_pid_started


def keeper_lives(worker: Worker) -> bool:
    """Whether the keeper of a worker lives on this machine."""
    return worker.started.keeper_pid in processes(worker)


def wake(worker: Worker) -> list[int]:
    """Continue those processes of a worker that are stopped, as by a job; which they were."""
    stopped = [pid for pid in processes(worker) if process_sweep.stopped(pid)]
    signal_processes(stopped, SIGCONT)
    return stopped


def kill(worker: Worker) -> None:
    """End both processes of a worker. The keeper is stopped first, so that it starts no other."""
    pids = processes(worker)
    signal_processes(pids[:1], SIGSTOP)
    signal_processes(pids[::-1], SIGKILL)


def signal_processes(pids: Iterable[int], number: Signals) -> None:
    """Send a signal to each, as far as they live and may be signalled."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def tidy_locks(queue: Queue) -> None:
    """Remove the lock files that nobody holds and no active worker needs to be taken over.

    They are of workers that died before they were in the log or after their end, or of a replay.
    """
    folder = queue.store.side_folder.folder("locks")
    with queue.read() as tx:
        living = {name for worker in workers.active(tx) for name in lock_names(worker.id)}
    for name in os.listdir(folder):
        if name not in living:
            lock = queue.store.lock(name)
            try:
                if lock.acquire_existing():
                    lock.remove()
            except FileNotFoundError:
                pass  # another tidies too


def boot_id() -> str:
    """The kernel's name for this boot; empty where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _has_open(worker: Worker, queue_file: tuple[int, int]) -> bool:
    """Whether that very process has that very file open: in a copy of a queue file nobody has."""
    started = worker.started
    if started.boot_id != boot_id() or process_sweep.started(started.pid) != started.pid_started:
        return False
    try:
        open_files = os.listdir(f"/proc/{started.pid}/fd")
    except (FileNotFoundError, PermissionError):
        return False
    return any(
        file_identity(f"/proc/{started.pid}/fd/{number}") == queue_file for number in open_files
    )
