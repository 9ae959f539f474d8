"""What a supervisor waits for: one selector over signals, bell, alarm, output, keeper and peers."""

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

PATIENCE_US = 5_000
"""A shorter job is read once, at its end: to listen to it costs as much as to start it."""


class Rings(Protocol):
    """Something to select on that is emptied once heard: a doorbell, an alarm."""

    def fileno(self) -> int:
        """Readable once it has rung."""


class Woken(msgspec.Struct):
    """What has happened since."""

    stops: int = 0
    """INT and TERM to this process, each one counts."""
    passed_on: int = 0
    """INT and TERM that the keeper was sent, each one counts."""
    hangup: bool = False
    """HUP."""
    children: bool = False
    """Some child has ended."""
    rung: bool = False
    """The log may have grown."""
    alarm: bool = False
    """A job may have fallen due."""
    committed: bool = False
    """The commit beside the loop is done."""
    keeper_gone: bool = False
    printed: list[Attempt] = []
    died: list[str] = []
    """Workers of whom a process has ended."""


class Waiting:
    """The selector. bell and alarm: the caller drains them when told that they have rung."""

    def __init__(
        self,
        signals: Signals,
        bell: Rings,
        alarm: Rings,
        committer: Rings,
        line: socket.socket,
    ) -> None:
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._bell, self._alarm, self._committer = (object() for _ in range(3))
        self._line = line
        self._watched: dict[str, list[int]] = {}
        self._soon: dict[int, tuple[int, Attempt]] = {}
        """By descriptor, in order: from when to listen, and to whom."""
        for source, name in (
            (signals, signals),
            (bell, self._bell),
            (alarm, self._alarm),
            (committer, self._committer),
            (line, line),
        ):
            self._selector.register(source, selectors.EVENT_READ, name)

    def hear(self, attempt: Attempt) -> None:
        """From now on, or from a moment later, tell when it has printed."""
        if attempt.child.output is not None:
            self._soon[attempt.child.output] = (_now_us() + PATIENCE_US, attempt)

    def unhear(self, attempt: Attempt) -> None:
        """No longer; its pipe may have been forgotten before."""
        output = attempt.child.output
        if output is None or output in self._soon:
            self._soon.pop(output or -1, None)
        elif output in self._selector.get_map():
            self._selector.unregister(output)

    def watch(self, worker_id: str, *processes: tuple[int, int]) -> None:
        """Tell once any of a worker's processes, each a pid and its start time, has ended.

        Where there are no pidfds, or the process is another machine's, the regular look does.
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
        """That worker is no concern any more."""
        for handle in self._watched.pop(worker_id, []):
            self._close(handle)

    def wait(self, timeout_us: int) -> Woken:
        """Wait until something happens, `timeout_us` has passed, or perhaps a moment less."""
        woken = Woken()
        if self._soon:
            timeout_us = min(timeout_us, self._listen())
        for key, _ in self._selector.select(max(0, timeout_us) / 1e6):
            self._sort(woken, key.fd, key.data)
        return woken

    def _listen(self) -> int:
        """Hear those whose moment has passed. Returns how long until the next one's has."""
        now_us = _now_us()
        for output, (at_us, attempt) in list(self._soon.items()):
            if at_us > now_us:
                return at_us - now_us
            del self._soon[output]
            self._selector.register(output, selectors.EVENT_READ, attempt)
        return PATIENCE_US

    def _sort(self, woken: Woken, descriptor: int, source: Any) -> None:
        if isinstance(source, Attempt):
            woken.printed.append(source)
        elif source is self._signals:
            numbers = self._signals.take()
            woken.stops = sum(number in URGING for number in numbers)
            woken.hangup |= signal.SIGHUP in numbers
            woken.children = signal.SIGCHLD in numbers
            woken.rung |= signal.SIGCONT in numbers  # it slept, or somebody wants it to look
        elif source is self._bell:
            woken.rung = True
        elif source is self._alarm:
            woken.alarm = True
        elif source is self._committer:
            woken.committed = True
        elif source is self._line:
            self._hear_keeper(woken)
        else:  # one of a worker's processes; the other is still watched
            self._watched[source].remove(descriptor)
            self._close(descriptor)
            woken.died.append(source)

    def _hear_keeper(self, woken: Woken) -> None:
        try:
            numbers = self._line.recv(4096)
        except ConnectionResetError:  # it died with bytes of ours unread
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
