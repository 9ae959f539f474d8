"""The one place where a supervisor waits: a selector over all its sources of events.

The sources are stop signals and ends of children (one pipe), the doorbell (new events in the log),
the alarm (a job falls due), the commit thread, the socket to the keeper, the output of attempts,
pidfds of other workers, and, on a server, the heart. The selector belongs to the supervisor's
thread. It empties the signal pipe and the keeper's socket; the supervisor drains the other sources.
"""

import os
import selectors
import signal
import socket
import time
from typing import Any, Protocol

import msgspec

from . import process_sweep
from .attempt import Attempt
from .stopping import URGING, Signals

SHORT_JOB_US = 5_000
"""The output of a shorter job is read once, at its end: registering costs as much as a start."""


class Rings(Protocol):
    """A source of events, such as a doorbell or an alarm. The caller of `wait` drains it."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""


class Woken(msgspec.Struct):
    """The events since the last wait."""

    stops: int = 0
    """Number of INT and TERM that this process received."""
    passed_on: int = 0
    """Number of INT and TERM that the keeper received."""
    hangup: bool = False
    """HUP was received, here or by the keeper."""
    children: bool = False
    """A child has ended."""
    rung: bool = False
    """The log may have new events."""
    alarm: bool = False
    """A job may have fallen due."""
    committed: bool = False
    """The commit on the committer's thread is done."""
    heart: bool = False
    """Workers of other machines may be overdue, or the server answers again."""
    keeper_gone: bool = False
    printed: list[Attempt] = []
    """Attempts with output to read."""
    died: list[str] = []
    """Ids of other workers of which a process has ended."""


class Selector:
    """The selector. bell, alarm: the caller drains them after `wait` has reported them."""

    def __init__(
        self,
        signals: Signals,
        bell: Rings,
        alarm: Rings,
        committer: Rings,
        line: socket.socket,
        heart: Rings | None = None,
    ) -> None:
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._bell, self._alarm, self._committer, self._heart = (object() for _ in range(4))
        self._line = line
        self._watched: dict[str, list[int]] = {}
        self._register_later: dict[int, tuple[int, Attempt]] = {}
        """By descriptor of its output: the time (µs) to register an attempt, in ascending order."""
        for source, name in (
            (signals, signals),
            (bell, self._bell),
            (alarm, self._alarm),
            (committer, self._committer),
            (line, line),
        ):
            self._selector.register(source, selectors.EVENT_READ, name)
        if heart is not None:
            self._selector.register(heart, selectors.EVENT_READ, self._heart)

    def report_output(self, attempt: Attempt) -> None:
        """Report output of this attempt from now on, but not before SHORT_JOB_US have passed."""
        if attempt.child.output is not None:
            self._register_later[attempt.child.output] = (_now_us() + SHORT_JOB_US, attempt)

    def stop_reporting_output(self, attempt: Attempt) -> None:
        """No longer report its output. Does nothing if it is not reported."""
        output = attempt.child.output
        if output is None or output in self._register_later:
            self._register_later.pop(output or -1, None)
        elif output in self._selector.get_map():
            self._selector.unregister(output)

    def watch(self, worker_id: str, *processes: tuple[int, int]) -> None:
        """Report when one of a worker's processes ends; each is a pid and its start time.

        If there are no pidfds, or the process is on another machine, only the regular check of
        workers detects its end.
        """
        if worker_id in self._watched:
            return
        self._watched[worker_id] = []
        for pid, started in processes:
            try:
                handle = os.pidfd_open(pid)
            except (OSError, AttributeError):
                continue
            if process_sweep.started(pid) != started:
                os.close(handle)
                continue
            self._watched[worker_id].append(handle)
            self._selector.register(handle, selectors.EVENT_READ, worker_id)

    def unwatch(self, worker_id: str) -> None:
        """Stop watching that worker."""
        for handle in self._watched.pop(worker_id, []):
            self._close(handle)

    def wait(self, timeout_us: int) -> Woken:
        """Wait for an event, for at most `timeout_us`. May return earlier without an event."""
        woken = Woken()
        if self._register_later:
            timeout_us = min(timeout_us, self._register_due())
        for key, _ in self._selector.select(max(0, timeout_us) / 1e6):
            self._add_event(woken, key.fd, key.data)
        return woken

    def _register_due(self) -> int:
        """Register the attempts whose time has come. Return the microseconds until the next one."""
        now_us = _now_us()
        for output, (at_us, attempt) in list(self._register_later.items()):
            if at_us > now_us:
                return at_us - now_us
            del self._register_later[output]
            self._selector.register(output, selectors.EVENT_READ, attempt)
        return SHORT_JOB_US

    def _add_event(self, woken: Woken, descriptor: int, source: Any) -> None:
        if isinstance(source, Attempt):
            woken.printed.append(source)
        elif source is self._signals:
            numbers = self._signals.take()
            woken.stops = sum(number in URGING for number in numbers)
            woken.hangup |= signal.SIGHUP in numbers
            woken.children = signal.SIGCHLD in numbers
            woken.rung |= signal.SIGCONT in numbers  # it was stopped, or was asked to check the log
        elif source is self._bell:
            woken.rung = True
        elif source is self._alarm:
            woken.alarm = True
        elif source is self._committer:
            woken.committed = True
        elif source is self._heart:
            woken.heart = True
        elif source is self._line:
            self._read_line(woken)
        else:  # one of a worker's processes; the other is still watched
            self._watched[source].remove(descriptor)
            self._close(descriptor)
            woken.died.append(source)

    def _read_line(self, woken: Woken) -> None:
        try:
            numbers = self._line.recv(4096)
        except ConnectionResetError:  # the keeper died before it read the sent bytes
            numbers = b""
        if not numbers:
            self._selector.unregister(self._line)
            woken.keeper_gone = True
        woken.passed_on = sum(number in URGING for number in numbers)
        woken.hangup |= signal.SIGHUP in numbers

    def _close(self, handle: int) -> None:
        self._selector.unregister(handle)
        os.close(handle)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
