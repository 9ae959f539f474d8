"""A commit beside the loop: a disk takes longer over it than a short job runs.

While the commit of one round is under way, results are taken in and jobs of earlier claims begin;
SQLite lets go of the interpreter meanwhile. Nothing else may use the store until its outcome is in.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property


class Committer:
    """Runs commits in a thread of its own, one at a time; readable once one is done."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._commit: Future[None] | None = None

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if the machine refuses one."""
        self._thread.submit(_nothing).result()

    def fileno(self) -> int:
        """What to select on for reading."""
        return self._read

    @property
    def busy(self) -> bool:
        """Whether a commit is under way, or its outcome not asked for yet."""
        return self._commit is not None

    def beside(self, commit: Callable[[], None]) -> None:
        """Begin a commit."""
        assert self._commit is None
        self._commit = self._thread.submit(commit)
        self._commit.add_done_callback(lambda _: os.write(self._write, b"!"))

    def outcome(self) -> None:
        """Wait until the commit is done. Raises what it raised."""
        assert self._commit is not None
        os.read(self._read, 1)
        done, self._commit = self._commit, None
        done.result()

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """Begun by `start`, or with the first commit beside the loop."""
        return ThreadPoolExecutor(1, initializer=_leave_signals_to_the_loop)


def _nothing() -> None:
    """The first work of the thread."""


def _leave_signals_to_the_loop() -> None:
    """The new thread takes none: no call of its own is interrupted by one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
