"""The files of a worker by which other processes see that it is alive, and wake it.

They are two locks and a doorbell (a FIFO) in the queue's `.d` folder. A clean-up program may remove
them, so they are created again if missing: the doorbell at once, the locks at the regular check.
"""

import errno
import socket
import time

from eventstore.errors import StoreError
from eventstore.lock import Lock
from eventstore.store import RingsFor

from ..api import Queue
from .liveness import lock_names

TRIES, PAUSE_S = 50, 0.01
"""Tries to take a lock, and the pause between: a process that checks locks holds each briefly."""


class Presence:
    """The files of a worker.

    line: socket to its keeper, which holds the second lock. rings_for: the events that wake it.
    """

    def __init__(
        self,
        queue: Queue,
        worker_id: str,
        line: socket.socket,
        rings_for: RingsFor = "everything",
    ) -> None:
        self._queue, self._worker_id, self._line = queue, worker_id, line
        self._name, self._keepers_name = lock_names(worker_id)
        self._own, self._keepers = self._lock(self._name), self._lock_for_keeper()
        self._bell = queue.store.guarded_doorbell(rings_for)

    def fileno(self) -> int:
        """Return a descriptor that is readable after new events, or if the bell was removed."""
        return self._bell.fileno()

    def drain(self) -> None:
        """Discard all notifications so far. Read the log after this call, never before."""
        self._bell.drain()

    def check(self) -> None:
        """Create missing files again. If that fails, the next check tries again."""
        self._bell.check()
        try:
            if not self._own.has_file():
                removed, self._own = self._own, self._lock(self._name)
                removed.release()
            if not self._keepers.has_file():
                self._keepers = self._lock_for_keeper()
        except (StoreError, OSError):
            pass

    def close(self) -> None:
        """Remove the doorbell. The locks are released when the processes end."""
        self._bell.close()

    def leave(self) -> None:
        """Remove the lock files. Call this after the end of the worker was recorded."""
        for lock in (self._own, self._keepers):
            lock.remove()

    def _lock(self, name: str) -> Lock:
        lock = self._queue.store.lock(name)
        for _ in range(TRIES):
            if lock.acquire():
                return lock
            time.sleep(PAUSE_S)
        raise BlockingIOError(errno.EAGAIN, "a lock of this worker is held", name)

    def _lock_for_keeper(self) -> Lock:
        lock = self._lock(self._keepers_name)
        name = f"name {self._worker_id}\n".encode()
        socket.send_fds(self._line, [name], [lock.fileno()])
        lock.release()
        return lock
