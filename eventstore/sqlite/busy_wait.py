"""Waiting for a lock that another process holds."""

import time
from collections.abc import Callable

BUSY_TIMEOUT_S = 75.0
TOLD_AFTER_S = 1.0

OnWait = Callable[[str], None]
"""Called once per wait, after a second, with what is being waited for."""


class Patience:
    """The busy handler of one store: asks again each millisecond.

    SQLite's own handler waits up to 100 ms, and misses the pauses that a replay makes for writers.
    """

    def __init__(self, path: str, on_wait: OnWait | None = None) -> None:
        self._path, self._on_wait = path, on_wait
        self.limit_s = BUSY_TIMEOUT_S
        self._since_s = 0.0
        self._told = False

    def __call__(self, tries: int) -> bool:
        """Wait a moment; False once that has been long enough. tries: 0 begins a new wait."""
        now_s = time.monotonic()
        if tries == 0:
            self._since_s, self._told = now_s, False
        time.sleep(0.001)
        waited_s = now_s - self._since_s
        if self._on_wait and not self._told and waited_s >= TOLD_AFTER_S:
            from .lock_holders import writer  # hardly ever needed

            self._told = True
            holder = writer(self._path) or "another process"
            self._on_wait(f"waiting for {holder}, which has locked {self._path}")
        return waited_s < self.limit_s
