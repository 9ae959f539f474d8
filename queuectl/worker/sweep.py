"""Finding and ending the processes that carry the marks of given attempts.

Everything is read from /proc; where there is none (macOS) nothing is found.
"""

import os
import resource
import time
from collections.abc import Collection, Iterable
from signal import SIGKILL, Signals

from .mark import VARIABLE, Mark

RLIMIT_RTTIME = 15
"""Linux's number; the resource module of Python 3.11 has no name for it."""
PAUSE_S = 0.002


def bearers(pids: Iterable[int], marks: Collection[Mark]) -> list[int]:
    """Those of `pids` that carry one of `marks`, ended and not yet reaped ones too."""
    limits = {mark.limit for mark in marks}
    cookies = {f"{VARIABLE}={mark.cookie}".encode() for mark in marks}
    return [pid for pid in pids if _carries(pid, limits, cookies)]


def survivors(marks: Collection[Mark]) -> list[int]:
    """Pids of all living processes that carry one of `marks`; never this one, nor its keeper."""
    return [pid for pid in bearers(_others(), marks) if alive(pid)]


def send(marks: Collection[Mark], number: Signals) -> list[int]:
    """Send a signal once to each survivor; which they were."""
    found = survivors(marks)
    for pid in found:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone meanwhile, or it took on another user's rights
    return found


def end(marks: Collection[Mark], within_s: float = 1.0) -> bool:
    """Kill the survivors of `marks` until none is left; False where one would not die in time."""
    deadline = time.monotonic() + within_s
    while marks and send(marks, SIGKILL):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)  # they are others' children: no call waits for all of them
    return True


def alive(pid: int) -> bool:
    """Whether `pid` is a process that has not ended; one that waits to be reaped has."""
    return _stat(pid)[:1] not in ([], [b"Z"], [b"X"])


def started(pid: int) -> int:
    """Start time of `pid` in clock ticks since boot; 0 where there is no such process."""
    stat = _stat(pid)
    return int(stat[19]) if stat else 0


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _others() -> list[int]:
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return []
    pids = {int(name) for name in names if name.isdecimal()}
    return sorted(pids - {os.getpid(), os.getppid()})


def _carries(pid: int, limits: set[int], cookies: set[bytes]) -> bool:
    """By the limit, which takes microseconds to read; else by the environment."""
    try:
        if resource.prlimit(pid, RLIMIT_RTTIME)[0] in limits:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return not cookies.isdisjoint(file.read().split(b"\0"))
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return False  # another user's, or gone
