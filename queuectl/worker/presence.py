"""What shows others that a worker lives and how they reach it: two locks and a doorbell.

They are files beside the queue, which a program that tidies up may remove. The doorbell notices at
once, the locks at the regular look, and what is missing is made again.
"""

import errno
import socket
import time

from eventstore.errors import StoreError
from eventstore.sqlite.lock import SqliteLock

from ..api import Queue
from .takeover import lock_names

TRIES, PAUSE_S = 50, 0.01
"""Of taking a lock: whoever looks for locks that were left behind holds each for a moment."""


class Presence:
    """The files of a worker. line: leads to its keeper, which holds the second lock alone."""

    def __init__(self, queue: Queue, worker_id: str, line: socket.socket) -> None:
        self._queue, self._worker_id, self._line = queue, worker_id, line
        self._name, self._keepers_name = lock_names(worker_id)
        self._own, self._keepers = self._lock(self._name), self._lock_for_keeper()
        self._bell = queue.store.guarded_doorbell()

    def fileno(self) -> int:
        """Readable once the log may have grown, or the bell was removed."""
        return self._bell.fileno()

    def drain(self) -> None:
        """Take in all rings so far; read the log after this, never before."""
        self._bell.drain()

    def check(self) -> None:
        """Make again what is missing; where that cannot be, the next check tries again."""
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
        """Take the bell away; the locks end with the processes."""
        self._bell.close()

    def leave(self) -> None:
        """Take the locks away too, for the end of the worker is in the log."""
        for lock in (self._own, self._keepers):
            lock.remove()

    def _lock(self, name: str) -> SqliteLock:
        lock = self._queue.store.lock(name)
        for _ in range(TRIES):
            if lock.acquire():
                return lock
            time.sleep(PAUSE_S)
        raise BlockingIOError(errno.EAGAIN, "a lock of this worker is held", name)

    def _lock_for_keeper(self) -> SqliteLock:
        lock = self._lock(self._keepers_name)
        name = f"{self._worker_id}\n".encode()
        socket.send_fds(self._line, [name], [lock.fileno()])
        lock.release()
        return lock
