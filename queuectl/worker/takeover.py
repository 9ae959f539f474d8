"""Requeuing the jobs of dead workers.

A worker of this machine is dead if its locks are free. Of a worker of another machine, which shares
a queue on a server, only its lease or a person can say so: see docs/decisions/0019.

Several processes may find the same worker dead at the same time. The order in `take_over` makes
this safe: take both locks of the dead worker, kill the remaining processes of its attempts, record
the worker as lost, which loses its claims in the same transaction (`core.reactions`), and only then
remove the lock files. A process that does not get both locks does nothing.
"""

import os
import time
from collections.abc import Iterable
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import NamedTuple

from eventstore.errors import Away, Busy, Full
from eventstore.lock import Lock
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import jobs, workers

from ..api import Queue
from ..core.requests import LoseWorker
from ..errors import WorkerLives
from ..escape import visible
from ..text.numbers import plural
from . import process_sweep
from .console import Console
from .lease import Overdue
from .liveness import (
    boot_id,
    has_queue_open,
    is_alive,
    is_elsewhere,
    living_processes,
    lock_names,
)
from .pace import LOOK_AGAIN_US
from .process_mark import mark_of
from .selector import Selector

TRIES, PAUSE_S = 5, 0.002
"""Tries to take a lock of a worker that is gone, and the pause between two tries.

A process that checks whether the lock is held takes it for a moment.
"""
CHECK_AGAIN_US = 100_000
"""The first pause before a worker that could not be taken over is checked again; it then doubles.
"""


class Recheck(NamedTuple):
    """An additional check of a worker that is gone, before the regular one."""

    at_us: int
    """By the monotonic clock; 0 if the regular check comes first."""
    pause_us: int
    """The pause before this check; the next pause is twice as long."""


class Peers:
    """The other workers of this queue, watched by pidfds and by a regular check.

    A worker that is gone may not be taken over at once: a process that its supervisor was starting
    holds its locks until its program runs, and the processes of its jobs may take long to die. It
    is checked again soon, then after longer and longer pauses: it may run in another container.
    """

    def __init__(self, queue: Queue, worker_id: str, selector: Selector, console: Console) -> None:
        self._queue, self._worker_id = queue, worker_id
        self._selector, self._console = selector, console
        self._known: dict[str, Worker] = {}
        self._rechecks: dict[str, Recheck] = {}

    def look(self, active: list[Worker], *, again: bool) -> None:
        """Take over the jobs of dead workers, watch the others. again: check known ones as well."""
        peers = {peer.id: peer for peer in active if peer.id != self._worker_id}
        for gone in self._known.keys() - peers.keys():
            self._forget(gone)
        for peer in peers.values():
            if again or peer.id not in self._known:
                self._check(peer)
        for worker in active if again else ():
            wake(worker)

    def died(self, worker_id: str) -> None:
        """Check a worker whose keeper or supervisor has ended; the other may still be running."""
        if worker_id in self._known:
            self._check(self._known[worker_id])

    def next_us(self) -> int | None:
        """Return when to call `check_again` (monotonic clock); None if no check is planned."""
        times_us = [recheck.at_us for recheck in self._rechecks.values()]
        return min((at_us for at_us in times_us if at_us), default=None)

    def check_again(self, now_us: int) -> bool:
        """Check the workers that could not be taken over before. Return whether there were any."""
        due = [name for name, recheck in self._rechecks.items() if 0 < recheck.at_us <= now_us]
        for worker_id in due:
            self._check(self._known[worker_id])
        return bool(due)

    def leases_us(self) -> dict[str, int]:
        """Return the leases of the other workers that may be taken over by time."""
        leases_us = {name: worker.started.lease_us for name, worker in self._known.items()}
        return {name: lease_us for name, lease_us in leases_us.items() if lease_us is not None}

    def overdue(self, overdue: Overdue) -> bool:
        """Take over a worker that has not beaten for its lease. Return whether that was done.

        If the server is away or busy, the next beat reports the worker again.
        """
        peer = self._known.get(overdue.worker)
        if peer is None or not is_elsewhere(self._queue.store, peer):
            return False
        try:
            lost = take_over_by_lease(self._queue, peer, self._worker_id, overdue.nonce)
        except (Full, Busy, Away):
            return False
        if lost is None:
            return False
        where = f"on {visible(peer.started.host)}, which did not beat for its lease"
        self._report(peer, lost, where)
        return True

    def _report(self, peer: Worker, lost: list[str], why: str) -> None:
        self._forget(peer.id)
        count = plural(len(lost), "job") if lost else "no job"
        self._console.say(f"took over {count} of worker {peer.id}, {why}")
        for job in self._dead(lost):
            self._console.died(job)

    def _recheck(self, worker_id: str) -> None:
        """Plan the next additional check, unless the regular check comes first."""
        last = self._rechecks.get(worker_id)
        pause_us = 2 * last.pause_us if last else CHECK_AGAIN_US
        is_early = pause_us < LOOK_AGAIN_US
        at_us = self._queue.clock.monotonic_us() + pause_us if is_early else 0
        self._rechecks[worker_id] = Recheck(at_us, pause_us if is_early else LOOK_AGAIN_US)

    def _check(self, peer: Worker) -> None:
        try:
            lost = take_over(self._queue, peer, self._worker_id)
        except (Full, Busy, Away):
            lost = None  # the next check tries again
        if lost is not None:
            self._report(peer, lost, "which had died")
            return
        self._known[peer.id] = peer
        started = peer.started
        self._selector.watch(
            peer.id,
            (started.pid, started.pid_started),
            (started.keeper_pid, started.keeper_pid_started),
        )
        if living_processes(peer) or is_elsewhere(self._queue.store, peer):
            self._rechecks.pop(peer.id, None)
        else:
            self._recheck(peer.id)

    def _dead(self, job_ids: list[str]) -> list[Job]:
        with self._queue.read() as tx:
            current = [jobs.get(tx, job_id) for job_id in job_ids]
        return [job for job in current if job and job.state == "dead"]

    def _forget(self, worker_id: str) -> None:
        self._known.pop(worker_id, None)
        self._rechecks.pop(worker_id, None)
        self._selector.unwatch(worker_id)


def take_over(queue: Queue, worker: Worker, found_by: str) -> list[str] | None:
    """Requeue the jobs that a dead worker had claimed, and return their ids.

    Return None if any process of the worker or of its attempts lives, or if the worker has ended in
    another way. A worker is alive as long as its locks are held. The caller holds the locks while
    it takes over, so that two callers do not do it twice.
    """
    locks = _free_locks(queue, worker)
    if locks is None:
        return None
    try:
        with queue.read() as tx:
            claims = jobs.of_worker(tx, worker.id)
        token = worker.started.token
        marks = [mark_of(queue.store.key, token, job.id, job.attempt) for job in claims]
        if not process_sweep.kill_all(marks):
            return None
        with queue.write(found_by) as session:
            request = LoseWorker(worker_id=worker.id, found_by=found_by)
            if not isinstance(session.send(request), Worker):
                return None  # it recorded its own end just before its locks became free
            session.tx.take_lease(worker.id, None)
        for lock in locks:
            lock.remove()
        return [job.id for job in claims]
    finally:
        for lock in locks:
            lock.release()


def take_over_by_lease(queue: Queue, worker: Worker, found_by: str, nonce: int) -> list[str] | None:
    """Requeue the jobs of a worker that has not beaten for its lease, and return their ids.

    Return None if it has beaten since, or its end is recorded. nonce: its last beat.
    """
    with queue.write(found_by) as session:
        claims = jobs.of_worker(session.tx, worker.id)
        if not session.tx.take_lease(worker.id, nonce):
            return None
        request = LoseWorker(worker_id=worker.id, found_by=found_by, how="lease")
        lost = session.send(request)
        return [job.id for job in claims] if isinstance(lost, Worker) else None


def forget(queue: Queue, worker: Worker, by: str) -> list[str]:
    """Requeue the jobs of a worker that a person says is gone, and return their ids.

    If it still runs on another machine, it ends its jobs when it notices. Raises WorkerLives if it
    is alive on this machine, or WorkerEnded.
    """
    if not is_elsewhere(queue.store, worker):
        if is_alive(queue.store, worker):
            raise WorkerLives(worker.id)
        if (lost := take_over(queue, worker, by)) is not None:
            return lost
    with queue.write(by) as session:
        claims = jobs.of_worker(session.tx, worker.id)
        answer = session.send(LoseWorker(worker_id=worker.id, found_by=by, how="person"))
        if not isinstance(answer, Worker):
            raise answer
        session.tx.take_lease(worker.id, None)
    return [job.id for job in claims]


def _free_locks(queue: Queue, worker: Worker) -> list[Lock] | None:
    """Take and return the locks of a dead worker; None if it is alive.

    If the file of a lock is missing, the worker is alive if its process has this queue file open.
    Of a worker on another machine, nothing is known here, so it counts as alive.
    """
    if is_elsewhere(queue.store, worker):
        return None
    held: list[Lock] = []
    is_gone = worker.started.boot_id == boot_id() and not living_processes(worker)
    tries = TRIES if is_gone else 1
    for name in lock_names(worker.id):
        lock = queue.store.lock(name)
        try:
            free = _is_acquired(lock, tries)
        except FileNotFoundError:
            free = not has_queue_open(queue.store, worker)
        else:
            held.append(lock)
        if not free:
            for other in held:
                other.release()
            return None
    return held


def _is_acquired(lock: Lock, tries: int) -> bool:
    """Try to take the lock; return whether this process holds it now.

    Raises FileNotFoundError if the lock has no file.
    """
    for _ in range(tries - 1):
        if lock.acquire_existing():
            return True
        time.sleep(PAUSE_S)
    return lock.acquire_existing()


def keeper_of(worker: Worker) -> tuple[str, int, int]:
    """Return the identity of a worker's keeper: boot id, pid and start time."""
    started = worker.started
    return started.boot_id, started.keeper_pid, started.keeper_pid_started


def keeper_lives(worker: Worker) -> bool:
    """Return whether the keeper of a worker is alive on this machine."""
    return worker.started.keeper_pid in living_processes(worker)


def wake(worker: Worker) -> list[int]:
    """Send SIGCONT to the stopped processes of a worker; return their pids."""
    stopped = [pid for pid in living_processes(worker) if process_sweep.stopped(pid)]
    signal_processes(stopped, SIGCONT)
    return stopped


def kill(worker: Worker) -> None:
    """Kill both processes of a worker. SIGSTOP the keeper first, so that it restarts nothing."""
    pids = living_processes(worker)
    signal_processes(pids[:1], SIGSTOP)
    signal_processes(pids[::-1], SIGKILL)


def signal_processes(pids: Iterable[int], number: Signals) -> None:
    """Send a signal to each process. Ended processes and those of other users are skipped."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def tidy_locks(queue: Queue) -> None:
    """Remove stale lock files: not held, and not of an active worker.

    Such files are left by workers that died before their start or after their end was recorded.
    """
    with queue.read() as tx:
        living = {name for worker in workers.active(tx) for name in lock_names(worker.id)}
    for name in queue.store.side_folder.names("locks"):
        if name not in living:
            lock = queue.store.lock(name)
            try:
                if lock.acquire_existing():
                    lock.remove()
            except FileNotFoundError:
                pass  # another process removed it
