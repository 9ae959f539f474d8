"""Being asked to stop: the first signal drains, the second ends what runs, the third kills it.

A hangup only drains, however often it comes: a terminal that closes sends it twice, and its shell
once more.
"""

import os
import signal
from enum import IntEnum
from typing import Literal

URGING = (signal.SIGINT, signal.SIGTERM)

STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that would stop a supervisor, which is not in the terminal's foreground group."""


class Urgency(IntEnum):
    """How soon to be gone; it only ever rises."""

    NONE = 0
    DRAIN = 1
    """Claim nothing more; what runs ends by itself."""
    NOW = 2
    """End what runs: TERM, its grace, KILL."""
    AT_ONCE = 3
    """KILL."""


class Stopping:
    """What was asked so far, by signals and by `worker stop`."""

    def __init__(self) -> None:
        self.urgency = Urgency.NONE
        self.signals = 0
        """Requests by INT and TERM: the second and later ones interrupt."""
        self._direct = self._passed_on = 0
        self._applied = Urgency.NONE

    def signalled(self, direct: int, passed_on: int) -> None:
        """INT or TERM came, to this process or to the keeper, which passed it on.

        A shutdown signals both at once: the n-th signal of each is the same request.
        """
        self._direct += direct
        self._passed_on += passed_on
        requests = max(self._direct, self._passed_on)
        self.urgency = Urgency(min(self.urgency + requests - self.signals, Urgency.AT_ONCE))
        self.signals = requests

    def asked(self, how: Literal["drain", "now"] | None) -> None:
        """A hangup came, or `worker stop` was recorded; it may be seen more than once."""
        if how is not None:
            self.urgency = max(self.urgency, Urgency.DRAIN if how == "drain" else Urgency.NOW)

    def risen(self) -> Urgency | None:
        """Return the urgency if it has risen since the last call; else None."""
        if self.urgency == self._applied:
            return None
        self._applied = self.urgency
        return self.urgency


class Signals:
    """A descriptor that is readable once a signal has come: children's ends and stop signals.

    To be made in the main thread, before others. Until then the keeper leaves these blocked.
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
        """What to select on for reading."""
        return self._read

    def take(self) -> bytes:
        """The numbers of the signals that came, one a byte."""
        try:
            return os.read(self._read, 4096)
        except BlockingIOError:
            return b""


def _noted(number: int, frame: object) -> None:
    """The wake-up pipe has it already."""
