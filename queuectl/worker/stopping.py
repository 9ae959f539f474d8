"""Stop requests: the first signal drains, the second ends the running jobs, the third kills them.

A hangup always means drain, even if it is repeated: a terminal that closes sends it twice, and its
shell sends it once more.
"""

import os
import signal
from enum import IntEnum
from typing import Literal

URGING = (signal.SIGINT, signal.SIGTERM)

STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that would stop a supervisor, which is not in the terminal's foreground group."""


class Urgency(IntEnum):
    """How soon the worker must end. It never decreases."""

    NONE = 0
    DRAIN = 1
    """Claim no more jobs; running jobs may finish."""
    NOW = 2
    """End running jobs: SIGTERM, then SIGKILL after the grace."""
    AT_ONCE = 3
    """Kill running jobs with SIGKILL."""


class Stopping:
    """The stop requests so far, by signals and by `worker stop`."""

    def __init__(self) -> None:
        self.urgency = Urgency.NONE
        self.signals = 0
        """Number of requests by INT and TERM; the second and later ones interrupt jobs."""
        self._direct = self._passed_on = 0
        self._applied = Urgency.NONE

    def signalled(self, direct: int, passed_on: int) -> None:
        """Note INT and TERM: the number that this process received, and that the keeper passed on.

        A shutdown sends signals to both: the n-th signal of each is the same request.
        """
        self._direct += direct
        self._passed_on += passed_on
        requests = max(self._direct, self._passed_on)
        self.urgency = Urgency(min(self.urgency + requests - self.signals, Urgency.AT_ONCE))
        self.signals = requests

    def requested(self, how: Literal["drain", "now"] | None) -> None:
        """Note a hangup or a recorded `worker stop`. The same one may be noted more than once."""
        if how is not None:
            self.urgency = max(self.urgency, Urgency.DRAIN if how == "drain" else Urgency.NOW)

    def risen(self) -> Urgency | None:
        """Return the urgency if it has risen since the last call; else None."""
        if self.urgency == self._applied:
            return None
        self._applied = self.urgency
        return self.urgency


class Signals:
    """A descriptor that is readable after a signal: the end of a child, or a stop signal.

    Create it in the main thread, before there are others. Until then, the signals are blocked, as
    the keeper has left them.
    """

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGCONT):
            signal.signal(number, _noted)
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        for number in (*URGING, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, _noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*URGING, signal.SIGHUP, signal.SIGCHLD))

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""
        return self._read

    def take(self) -> bytes:
        """Return the numbers of the signals that arrived, one per byte."""
        try:
            return os.read(self._read, 4096)
        except BlockingIOError:
            return b""


def _noted(number: int, frame: object) -> None:
    """Do nothing: the signal is already in the wake-up pipe."""
