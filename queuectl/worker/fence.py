"""The thread that freezes the jobs of a worker on a server when its lease ends.

It uses nothing but the clock, /proc, signals and a socket that never blocks: the loop may hang in a
query, and the heart in a connection. See docs/decisions/0019 and 0025. What must hold:

- The gate is closed before the first process is stopped, so that the loop launches and records
  nothing. A launch that had passed the gate ends before the last scan for running processes.
- The keeper learns that all are frozen only after that scan, and again at each look. If it hears
  nothing, or the deadline and a slack have passed and some still run, all are killed.
- The jobs go on only after a confirmed beat, whose deadline the keeper knows by then.

Killing has an order as well: first the loop is held, so that it records no job as failed that was
killed; then all processes of the jobs are killed; then the supervisor exits. Its keeper starts a
new one, unless a person has stopped the worker.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from eventstore.quiet_thread import start_thread

from .freezer import Freezer
from .keeper import LEASE_ENDED, boot_us, end_children
from .sd_notify import Notifier

LONGEST_LOOK_S = 1.0
"""The longest pause between two looks at the clock, and at frozen processes: the clock may have
gone on while the machine slept, and somebody may have continued a process."""
KEEPER_WAITS_US = 10_000_000
"""The keeper kills all if it hears for so long no more that the processes are frozen."""
LONGEST_FREEZE_US = 86_400_000_000
"""After a day, the server will not come back soon; the jobs are killed."""
GATE_S = 0.01
"""How long to wait for a launch in progress, between two scans."""
STOPPED_WHILE_FROZEN = 6
"""Exit code of a supervisor that a person has stopped while the server is away."""


class Fence:
    """The deadline of this worker. Its thread must be started before jobs run.

    kept_limit: the soft RLIMIT_RTTIME of processes that are not killed. slack_us: how much later
    the keeper acts. say: prints a line. line: socket to the keeper.
    """

    def __init__(
        self,
        kept_limit: int,
        slack_us: int,
        say: Callable[[str], None],
        line: socket.socket,
        notifier: Notifier | None = None,
    ) -> None:
        self._kept_limit, self._say, self._notifier = kept_limit, say, notifier
        self._slack_us, self._line = slack_us, line
        self._freezer = Freezer(kept_limit)
        self._deadline_us: int | None = None
        self._deadline_lock = threading.Lock()
        """Held to change the deadline and report it: the last message is that of the last state."""
        self._gate = threading.Lock()
        """Held by the loop while it launches."""
        self._is_closed = self._has_tripped = self._is_over = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self.are_frozen = False
        """Whether all processes of the jobs have been stopped, and were not continued since."""
        self.frozen_us = 0
        """For how long jobs were frozen, in all."""
        self.changed: Callable[[], None] = lambda: None
        """Called when the jobs are frozen, and when they go on. It must not block."""

    def start(self) -> None:
        """Start the thread, once. Raises RuntimeError if the machine refuses one."""
        self._thread = self._thread or start_thread(self._watch, "fence")

    def postpone(self, deadline_us: int) -> None:
        """Set the deadline, by the boot-time clock: a beat was confirmed. Frozen jobs go on."""
        with self._deadline_lock:
            self._report_to_keeper(deadline_us + self._slack_us)
            self._deadline_us = deadline_us
        if self._is_closed:
            self._woken.set()

    def disarm(self) -> None:
        """End the thread: no job is running, and none will."""
        self._is_over = True
        self._woken.set()

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Let the thread wait for a launch; in it, `is_open` must be called before each one."""
        with self._gate:
            yield

    def is_open(self) -> bool:
        """Return whether the worker may launch and record: not while its jobs are frozen."""
        self.hold()
        return not self._is_closed and not self._is_late()

    def hold(self) -> None:
        """Return if the jobs were not killed. The loop calls this before it records results."""
        while self._has_tripped:
            time.sleep(LONGEST_LOOK_S)  # the process is about to end

    def trip(self, why: str, code: int = LEASE_ENDED) -> NoReturn:
        """Kill all processes of the jobs, and exit so that the keeper starts a new supervisor.

        code: an exit code after which it does not, if a person has stopped the worker.
        """
        is_first = not self._has_tripped
        self._has_tripped = True
        end_children(self._kept_limit)
        if is_first:  # only now: stderr may be a pipe that nobody reads
            self._say(f"error: {why}; ended all that still ran here")
        if self._notifier is not None:
            self._notifier.pause()  # else its watchdog would end the keeper, too
        os._exit(code)

    def _watch(self) -> None:
        while not (self._is_over or self._has_tripped):
            self._woken.wait(self._pause_s())
            self._woken.clear()
            if self._is_late():
                self._keep_frozen()
                while self._is_closed and not (self._is_over or self._has_tripped):
                    self._keep_frozen()  # it was late again before all went on

    def _pause_s(self) -> float:
        if self._deadline_us is None:
            return LONGEST_LOOK_S
        return min(max(0.0, (self._deadline_us - boot_us()) / 1e6), LONGEST_LOOK_S)

    def _keep_frozen(self) -> None:
        """Freeze all, until a beat is confirmed; then let them go on."""
        began_us = boot_us()
        self._is_closed = True
        assert self._deadline_us is not None
        give_up_us = self._deadline_us + self._slack_us
        while self._is_late() and not (self._is_over or self._has_tripped):
            self._freeze(give_up_us)
            if boot_us() - began_us > LONGEST_FREEZE_US:
                self.trip("the server has not confirmed this worker for a day")
            self._confirm_frozen()
            self.changed()
            self._woken.wait(LONGEST_LOOK_S)
            self._woken.clear()
            give_up_us = boot_us() + self._slack_us
        self.are_frozen = False
        has_thawed = self._freezer.thaw(self._may_go_on)
        self.frozen_us += boot_us() - began_us
        if has_thawed:
            self._is_closed = False
            self.changed()

    def _freeze(self, give_up_us: int) -> None:
        """Stop all processes, and those of a launch in progress. Kill all if that fails."""
        has_gate = False
        while self._freezer.freeze(give_up_us):
            if has_gate or not self._is_late():
                return
            if has_gate := self._gate.acquire(timeout=GATE_S):
                self._gate.release()  # the loop has seen that the gate is closed, or will
        if not self._is_late():
            return  # a beat was confirmed
        self.trip("the server has not confirmed this worker in time")

    def _confirm_frozen(self) -> None:
        """Report that all are frozen, unless a beat was confirmed."""
        with self._deadline_lock:
            if self._is_late():
                self.are_frozen = True
                self._report_to_keeper(boot_us() + KEEPER_WAITS_US)
                if self._notifier is not None:
                    self._notifier.confirmed()

    def _report_to_keeper(self, until_us: int) -> None:
        try:
            self._line.send(f"until {until_us}\n".encode(), socket.MSG_DONTWAIT)
        except OSError:
            pass  # the keeper is dead, or was stopped so long that the socket is full

    def _may_go_on(self) -> bool:
        return not (self._is_late() or self._has_tripped or self._is_over)

    def _is_late(self) -> bool:
        return self._deadline_us is not None and boot_us() >= self._deadline_us
