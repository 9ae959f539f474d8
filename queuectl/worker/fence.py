"""The thread that ends a worker on a server when its lease ends, or another one has taken it over.

It uses nothing but the clock, /proc and `kill`: the loop may hang in a query, and the heart in a
connection. The order matters: first the loop is held, so that it records no job as failed that the
fence has killed; then all processes of the jobs are killed; then the supervisor exits, and its
keeper starts a new one. See docs/decisions/0019.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from .keeper import LEASE_ENDED, boot_us, end_children
from .sd_notify import Notifier

LONGEST_LOOK_S = 1.0
"""The longest pause between two looks at the clock: it may have gone on while the machine slept."""


class Fence:
    """The deadline of this worker. Its thread must be started before jobs run.

    kept_limit: the soft RLIMIT_RTTIME of processes that are not killed. slack_us: how exactly the
    deadline is kept. say: prints a line.
    """

    def __init__(
        self,
        kept_limit: int,
        slack_us: int,
        say: Callable[[str], None],
        notifier: Notifier | None = None,
    ) -> None:
        self._kept_limit, self._say, self._notifier = kept_limit, say, notifier
        self._look_s = min(slack_us / 1e6, LONGEST_LOOK_S)
        self._deadline_us: int | None = None
        self._has_tripped = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once. Raises RuntimeError if the machine refuses one."""
        self._thread = self._thread or start_thread(self._watch, "fence")

    def postpone(self, deadline_us: int) -> None:
        """Set the deadline, by the boot-time clock."""
        self._deadline_us = deadline_us

    def disarm(self) -> None:
        """End the thread: no job is running, and none will."""
        self._over.set()

    def hold(self) -> None:
        """Return if the worker may go on. The loop calls this before it launches or records."""
        if self._has_tripped:
            while True:  # the process is about to end
                time.sleep(LONGEST_LOOK_S)
        if self._is_late():
            self._trip_late()

    def trip(self, why: str) -> NoReturn:
        """Kill all processes of the jobs, and exit so that the keeper starts a new supervisor."""
        is_first = not self._has_tripped
        self._has_tripped = True
        if is_first:
            self._say(f"error: {why}; ending all that still run here")
        end_children(self._kept_limit)
        if self._notifier is not None:
            self._notifier.pause()  # else its watchdog would end the keeper, too
        os._exit(LEASE_ENDED)

    def _watch(self) -> None:
        while not self._over.wait(self._look_s):
            if self._is_late():
                self._trip_late()

    def _is_late(self) -> bool:
        return self._deadline_us is not None and boot_us() >= self._deadline_us

    def _trip_late(self) -> NoReturn:
        self.trip("the server has not confirmed this worker in time")


def start_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread to which no signals are delivered, and which does not keep the process alive.

    Raises RuntimeError if the machine refuses one.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    # The thread inherits the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
