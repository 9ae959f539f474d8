"""Freezing all processes of the jobs with SIGSTOP, and letting them go on with SIGCONT.

The fence calls this from its thread, or from a test. It reads /proc and sends signals, nothing
else. A process that somebody else has stopped before is not continued. See docs/decisions/0025.
"""

import os
import sys
import time
from collections.abc import Callable
from signal import SIGCONT, SIGSTOP, Signals

from .keeper import boot_us, descendants
from .process_sweep import started

QUIET_SCANS = 2
"""This many scans in a row must find no running process: fast forks may escape a single one."""
PAUSE_S = 0.002

STOPPED, ENDED, WAITING = {b"T", b"t"}, {b"Z", b"X"}, {b"D"}
"""States of threads. A thread that waits in the kernel stops before it returns from there."""


class Freezer:
    """The processes that were stopped. kept_limit: the soft RLIMIT_RTTIME of those to leave out."""

    def __init__(self, kept_limit: int) -> None:
        self._kept_limit = kept_limit
        self._stopped: dict[int, int] = {}
        """Start times of the processes that this has stopped, by pid."""

    def freeze(self, until_us: int) -> bool:
        """Stop processes until none runs.

        Return False if one cannot be stopped, or some still run at `until_us` (boot-time clock).
        """
        if not _can_list():
            return False
        quiet = 0
        try:
            while quiet < QUIET_SCANS:
                if self._stop_running():
                    quiet = 0
                    time.sleep(PAUSE_S)
                else:
                    quiet += 1
                if boot_us() >= until_us:
                    return False
        except PermissionError:  # it belongs to another user
            return False
        return True

    def thaw(self, may_go_on: Callable[[], bool]) -> bool:
        """Continue the processes that were stopped here, as long as `may_go_on` says so.

        Return False if it did not until the last one.
        """
        while self._stopped:
            if not may_go_on():
                return False
            pid, start = self._stopped.popitem()
            if started(pid) == start:
                _send(pid, SIGCONT)
        return True

    def _stop_running(self) -> bool:
        """Stop the processes that run, parents first. Return whether there were any.

        Raises PermissionError.
        """
        running = [pid for pid in descendants(self._kept_limit) if not is_stopped(pid)]
        for pid in reversed(running):
            start = started(pid)
            if _send(pid, SIGSTOP):
                self._stopped[pid] = start
        return bool(running)


def is_stopped(pid: int) -> bool:
    """Return whether no thread of a process runs code of its program, nor will before SIGCONT.

    A process that has ended and was not reaped is stopped. One that waits in the kernel (for a
    disk, or after a vfork) counts as stopped once its stop is pending; the kernel then stops it
    before it runs on.
    """
    states = _states(pid)
    if not states or states <= STOPPED | ENDED:
        return bool(states)
    return states <= STOPPED | ENDED | WAITING and (
        not states.isdisjoint(STOPPED) or _stop_is_pending(pid)
    )


def _can_list() -> bool:
    """Return whether the kernel lists the children of a process."""
    return sys.platform == "linux" and os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _send(pid: int, number: Signals) -> bool:
    """Send a signal; return False if the process has ended. Raises PermissionError."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _states(pid: int) -> set[bytes]:
    """Return the states of its threads; empty if it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return set()
    return {state for task in tasks if (state := _state(f"/proc/{pid}/task/{task}/stat"))}


def _state(path: str) -> bytes:
    return b"".join(_read(path).rpartition(b")")[2].split()[:1])


def _stop_is_pending(pid: int) -> bool:
    """Source: proc_pid_status(5), masks of pending signals."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    masks = [line.split()[1] for line in lines if line.startswith((b"SigPnd:", b"ShdPnd:"))]
    return any(int(mask, 16) >> (SIGSTOP - 1) & 1 for mask in masks)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
