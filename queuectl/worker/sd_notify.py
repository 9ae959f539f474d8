"""Messages to systemd about a worker that it has started as a service of `Type=notify`.

Each message is a datagram of lines NAME=VALUE to the socket in NOTIFY_SOCKET; see sd_notify(3) and
docs/decisions/0024. Messages are lost rather than waited for, except for READY.

The loop owns what it reports; the heart and the fence call `confirmed` and `pause` from their
threads. After READY systemd kills a service whose WATCHDOG messages stop. With a lease they follow
beats that the server has confirmed; else they show that the loop runs.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple

from .lease import watchdog_us
from .stopping import Urgency

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
STATUS_US = 1_000_000
"""The shortest pause between two messages about the status."""
READY_S = 5.0
"""The longest wait for room in the socket of systemd, for the one message that must not be lost."""


class Status(NamedTuple):
    """What a worker reports of itself."""

    running: int
    slots: int
    others_wait: bool
    """Whether there may be jobs to claim."""
    urgency: Urgency
    is_away: bool
    """Whether the server does not answer."""

    @property
    def text(self) -> str:
        """The status in words, one line."""
        jobs = "1 job" if self.running == 1 else f"{self.running} jobs"
        if self.urgency:
            words = f"stopping, {jobs} still running"
        else:
            words = f"{self.running} of {self.slots} jobs running"
            words += ", more may be waiting" if self.others_wait else ", none waiting"
        return f"{words}; no answer from the server" if self.is_away else words


class Notifier:
    """The connection to systemd. Times are microseconds of the monotonic clock."""

    def __init__(self, address: str, watchdog_us: int | None) -> None:
        """address: of the socket; `@` begins an abstract one. watchdog_us: None for no watchdog."""
        path = os.fsencode(address)
        self._address = b"\0" + path[1:] if path.startswith(b"@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._watchdog_us = watchdog_us
        self._pulse_us: int | None = None
        """The pause between two WATCHDOG messages of the loop; None if it sends none."""
        self._pulse_at_us = 0
        self._follows_beats = False
        self._reported: Status | None = None
        self._report_at_us = 0
        self._is_stopping = False

    def ready(self, lease_us: int | None) -> None:
        """Report that the start is recorded. lease_us: None if the loop, not the heart, is watched.

        The lease in force determines the time of the watchdog: it may have changed since the unit
        was written.
        """
        lines = ["READY=1"]
        if self._watchdog_us is not None:
            time_us = self._watchdog_us if lease_us is None else watchdog_us(lease_us)
            lines += ["WATCHDOG=1", f"WATCHDOG_USEC={time_us}"]
            self._follows_beats = lease_us is not None
            self._pulse_us = time_us // 2 if lease_us is None else None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as patient:
            patient.settimeout(READY_S)
            self._send_by(patient, lines)

    def confirmed(self) -> None:
        """Report that the server has confirmed a beat, or that all jobs are frozen."""
        if self._follows_beats:
            self._send("WATCHDOG=1")

    def pause(self) -> None:
        """Stop the watchdog until `ready`: no job is running, and the server may be away."""
        if self._watchdog_us is not None:
            self._follows_beats = False
            self._send("WATCHDOG_USEC=0")

    def stopping(self) -> None:
        """Report once that the worker ends."""
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1")

    def ended(self) -> None:
        """Report that the worker runs nothing any longer, and ends."""
        self.stopping()
        self._send("STATUS=stopped")

    def report(self, status: Status, now_us: int) -> int | None:
        """Report what has changed, and that the loop runs, if that is due.

        Return the time for the next call; None if there is nothing to report later.
        """
        if status.urgency:
            self.stopping()
        if status != self._reported and now_us >= self._report_at_us:
            self._reported, self._report_at_us = status, now_us + STATUS_US
            self._send(f"STATUS={status.text}")
        if self._pulse_us is not None and now_us >= self._pulse_at_us:
            self._pulse_at_us = now_us + self._pulse_us
            self._send("WATCHDOG=1")
        next_us = [self._report_at_us] if status != self._reported else []
        next_us += [] if self._pulse_us is None else [self._pulse_at_us]
        return min(next_us, default=None)

    def _send(self, *lines: str) -> None:
        self._send_by(self._socket, lines)

    def _send_by(self, sender: socket.socket, lines: "list[str] | tuple[str, ...]") -> None:
        try:
            sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass  # systemd is gone or being restarted, or its socket is full


def notifier_from(environment: MutableMapping[str, str]) -> Notifier | None:
    """Return a notifier if systemd has started this process; call it before other processes start.

    environment: the variables of the protocol are removed from it, as jobs must not inherit them.
    The watchdog is only used if systemd expects it of this very process.
    """
    address = environment.pop(SOCKET, "")
    time, pid = environment.pop(WATCHDOG, ""), environment.pop(WATCHDOG_PID, "")
    if not address.startswith(("/", "@")):
        return None
    is_watched = time.isdecimal() and pid in ("", str(os.getpid()))
    return Notifier(address, int(time) if is_watched and int(time) else None)
