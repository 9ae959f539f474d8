"""The check whether a worker is alive, for commands and the dashboard.

A takeover does not rely on it: it takes the locks of the worker itself (`takeover.take_over`), or
its lease. A worker of another machine, which shares a queue on a server, counts as alive if it has
beaten within its lease, by the server's clock.
The log alone is not enough: if keeper and supervisor were killed, or the machine was switched off,
the death of the worker is not recorded until another worker takes over.
"""

from collections.abc import Iterable

from eventstore.errors import StoreError
from eventstore.store import Store
from projections.folds.worker import Worker

from . import process_sweep

SILENCE_US = 120_000_000
"""A worker without a lease counts as dead if it has not beaten for so long."""


def living(store: Store | None, active: Iterable[Worker]) -> list[Worker]:
    """Return those of `active` that are alive. store: None if there is no queue file."""
    return [worker for worker in active if store is not None and is_alive(store, worker)]


def is_alive(store: Store, worker: Worker) -> bool:
    """Return whether the supervisor or the keeper of a worker serves this queue file.

    A worker that cannot be examined, such as one of another user, counts as alive if the log says
    so. Nothing is written. A lock is tried only if no process of the worker is visible here, since
    the worker may run in another container.
    """
    if not worker.active:
        return False
    try:
        if is_elsewhere(store, worker):
            return _has_beaten(store, worker)
        locks = store.side_folder.names("locks")
        if living_processes(worker):
            has_lock = any(name in locks for name in lock_names(worker.id))
            return has_lock or has_queue_open(store, worker)
        return any(name in locks and store.lock(name).is_held() for name in lock_names(worker.id))
    except (StoreError, OSError):
        return True


def is_elsewhere(store: Store, worker: Worker) -> bool:
    """Return whether a worker of a queue on a server is, or may be, on another machine.

    It is on this one only if the machine was not restarted and both of its locks are here: a folder
    on a network file system does not make two machines one.
    """
    if not store.distant:
        return False
    locks = store.side_folder.names("locks")
    same_boot = bool(boot_id()) and worker.started.boot_id == boot_id()
    is_here = same_boot and {*lock_names(worker.id)} <= {*locks}
    return not is_here


def _has_beaten(store: Store, worker: Worker) -> bool:
    beat_us = store.last_beats().get(worker.id)
    longest_us = worker.started.lease_us or SILENCE_US
    return beat_us is not None and store.wall_us() - beat_us < longest_us


def lock_names(worker_id: str) -> tuple[str, str]:
    """Return the names of the locks that a worker's supervisor and its keeper hold."""
    return f"worker-{worker_id}", f"worker-{worker_id}.keeper"


def living_processes(worker: Worker) -> list[int]:
    """Return the pids of a worker's keeper and supervisor that are alive on this machine.

    The keeper is first.
    """
    started = worker.started
    if started.boot_id != boot_id():
        return []
    identities = (
        (started.keeper_pid, started.keeper_pid_started),
        (started.pid, started.pid_started),
    )
    return [
        pid
        for pid, start_time in identities
        if process_sweep.started(pid) == start_time and process_sweep.alive(pid)
    ]


def has_queue_open(store: Store, worker: Worker) -> bool:
    """Return whether the supervisor of a worker has this very queue open, not a copy of it."""
    started = worker.started
    if started.boot_id != boot_id() or process_sweep.started(started.pid) != started.pid_started:
        return False
    return store.has_open(started.pid)


def boot_id() -> str:
    """Return the kernel's id of this boot; empty if the system has none (macOS)."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
