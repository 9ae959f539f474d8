"""Commits in a thread of their own: a disk takes longer for one than a short job runs.

While the commit of one round runs in the committer's thread, the loop takes in results and launches
jobs of earlier claims; SQLite releases the interpreter. Nothing else may use the store
until the loop has taken in the outcome. See docs/decisions/0010.
"""

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

from .rounds import Round


class Committer:
    """Commits rounds in a thread of its own, one at a time; readable once one is done."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._under_way: tuple[Round, Future[None]] | None = None

    def start_thread(self) -> None:
        """Start the thread. Raises RuntimeError if the machine refuses one."""
        self._thread.submit(_nothing).result()

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._read

    @property
    def busy(self) -> bool:
        """Whether a commit runs, or its outcome has not been taken in yet."""
        return self._under_way is not None

    @property
    def round(self) -> Round:
        """The round that is being committed."""
        assert self._under_way is not None
        return self._under_way[0]

    def start(self, done: Round) -> None:
        """Begin to commit a round."""
        assert self._under_way is None
        commit = self._thread.submit(done.commit)
        self._under_way = done, commit
        commit.add_done_callback(lambda _: os.write(self._write, b"!"))

    def outcome(self) -> None:
        """Wait until the commit is done. Raises the errors of the commit."""
        assert self._under_way is not None
        os.read(self._read, 1)
        (_, commit), self._under_way = self._under_way, None
        commit.result()

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """Begun by `start_thread`, or with the first commit."""
        return ThreadPoolExecutor(1, initializer=_leave_signals_to_the_loop)


def _nothing() -> None:
    """Is the first work of the thread."""


def _leave_signals_to_the_loop() -> None:
    """Block all signals in this thread, so that none interrupts a call of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
