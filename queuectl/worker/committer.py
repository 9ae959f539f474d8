"""Commits in a thread of their own, because a commit takes longer than a short job.

While the commit of a round runs in the committer's thread, the loop handles results and launches
jobs that were claimed earlier; SQLite releases the interpreter lock during a commit. On a server,
whose answers take time, the whole round runs there. Nothing else may use the store until the loop
has handled the outcome. See docs/decisions/0010 and 0027.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

from .rounds import Round


class Committer:
    """Commits rounds in a thread of its own, one at a time.

    Its descriptor is readable after each.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._current: Future[Round] | None = None

    def start_thread(self) -> None:
        """Start the thread. Raises RuntimeError if the machine refuses one."""
        self._thread.submit(_nothing).result()

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._read

    @property
    def busy(self) -> bool:
        """Whether a commit runs, or its outcome has not been handled yet."""
        return self._current is not None

    def start(self, record: Callable[[], Round]) -> None:
        """Begin to run `record`, which commits a round and returns it."""
        assert self._current is None
        self._current = self._thread.submit(record)
        self._current.add_done_callback(lambda _: os.write(self._write, b"!"))

    def outcome(self) -> Round:
        """Wait until the commit is done, and return the round. Raises the errors of `record`."""
        assert self._current is not None
        os.read(self._read, 1)
        record, self._current = self._current, None
        return record.result()

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """The thread; it is started by `start_thread`, or by the first commit."""
        return ThreadPoolExecutor(1, initializer=_leave_signals_to_the_loop)


def _nothing() -> None:
    """Do nothing. This is the first task of the thread, which starts it."""


def _leave_signals_to_the_loop() -> None:
    """Block all signals in this thread, so that none interrupts its system calls."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
