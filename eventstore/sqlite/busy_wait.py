"""Waiting for a lock that another process holds."""

import time
from collections.abc import Callable

from ..store import PATIENCE_S

REPORTED_AFTER_S = 1.0
"""A wait is reported to the user after this time."""

OnWait = Callable[[str], None]
"""Called once per wait, after a second, with a message that names the holder of the lock."""


class Patience:
    """The busy handler of one store. It tries again every millisecond.

    SQLite's own handler sleeps up to 100 ms between two tries. So it would miss the short pauses in
    which a replay lets other processes write.
    """

    def __init__(self, path: str, on_wait: OnWait | None = None) -> None:
        self._path, self._on_wait = path, on_wait
        self.limit_s = PATIENCE_S
        self._since_s = 0.0
        self._reported = False

    def __call__(self, tries: int) -> bool:
        """Sleep for a millisecond; return False if the wait has exceeded `limit_s`.

        tries: number of tries so far; 0 begins a new wait.
        """
        now_s = time.monotonic()
        if tries == 0:
            self._since_s, self._reported = now_s, False
        time.sleep(0.001)
        waited_s = now_s - self._since_s
        if self._on_wait and not self._reported and waited_s >= REPORTED_AFTER_S:
            from .lock_holders import writer  # rarely needed

            self._reported = True
            holder = writer(self._path) or "another process"
            self._on_wait(f"waiting for {holder}, which has locked {self._path}")
        return waited_s < self.limit_s
