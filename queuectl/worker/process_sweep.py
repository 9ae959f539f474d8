"""Finding and ending the processes that carry the marks of given attempts.

Everything is read from /proc; where there is none (macOS) nothing is found.
"""

import os
import pwd
import resource
import time
from collections.abc import Collection, Iterable
from signal import SIGKILL, Signals
from typing import NamedTuple

from .keeper import KEPT
from .process_mark import VARIABLE, Mark

RLIMIT_RTTIME = 15
"""Linux's number; the resource module of Python 3.11 has no name for it."""
PAUSE_S = 0.002
GROUP, THREADS = 2, 17
"""Indexes of process group and number of threads in what `_stat` returns."""
STUCK_US = 2_000_000
"""How long after a signal to look for processes that it could not end."""
QUIET_PASSES = 2
"""Passes in a row that must find nothing: a chain of fast forks may slip through one."""


class Unendable(NamedTuple):
    """A process that no signal of ours ends."""

    pid: int
    name: str
    user: str | None
    """Whose it is; None if it is ours, was killed and does not die."""


class Pass(NamedTuple):
    """What one look at all processes has found."""

    survivors: list[int]
    """Pids of the living processes that carry one of the marks."""
    ended: set[int]
    """Pids of those that carry one, have ended and wait to be reaped."""
    complete: bool
    """Whether no process was gone before it was looked at: it might have forked."""


def bearers(pids: Iterable[int], marks: Collection[Mark]) -> list[int]:
    """Those of `pids` that carry one of `marks`, ended and not yet reaped ones too."""
    limits, cookies = _traces(marks)
    return [pid for pid in pids if _carries(pid, limits, cookies)]


def survivors(marks: Collection[Mark]) -> list[int]:
    """Pids of all living processes that carry one of `marks`; never this one, nor its keeper."""
    return _look(marks).survivors


def send(marks: Collection[Mark], number: Signals) -> list[int]:
    """Send a signal once to each survivor; which they were."""
    found = survivors(marks)
    _signal(found, number)
    return found


def unendable(marks: Collection[Mark]) -> list[Unendable]:
    """Survivors that belong to another user, or that were killed and wait inside the kernel."""
    found = []
    for pid in survivors(marks):
        try:
            os.kill(pid, 0)
        except PermissionError:
            found.append(Unendable(pid, name(pid), _owner(pid)))
        except ProcessLookupError:
            continue
        else:
            if _is_killed(pid):
                found.append(Unendable(pid, name(pid), None))
    return found


def end(marks: Collection[Mark], within_s: float = 1.0) -> bool:
    """Kill the survivors of `marks` until none is left; False where one would not die in time.

    Their process groups are killed too: no fork escapes that, and an attempt shares its groups with
    nobody, for it begins a session of its own.
    """
    deadline = time.monotonic() + within_s
    quiet, ended, killed, groups = 0, set[int](), set[int](), set[int]()
    while marks and quiet < QUIET_PASSES:
        found = _look(marks)
        news = found.ended - ended
        groups.update(*(_group(pid) for pid in (*found.survivors, *news)))
        _signal(found.survivors, SIGKILL)
        _kill_groups(groups)
        if time.monotonic() > deadline:
            return not found.survivors and news <= killed
        quiet = quiet + 1 if found.complete and not found.survivors and not news else 0
        ended |= news
        killed.update(found.survivors)
        if found.survivors:
            time.sleep(PAUSE_S)  # they are others' children: no call waits for all of them
    return True


def alive(pid: int) -> bool:
    """Whether `pid` is a process that has not ended; one that waits to be reaped has.

    One whose first thread has ended is called a zombie while its other threads go on.
    """
    stat = _stat(pid)
    return bool(stat) and (stat[0] not in (b"Z", b"X") or int(stat[THREADS]) > 1)


def name(pid: int) -> str:
    """The name of a process's program as the kernel has it, safe to print; `?` if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            text = file.read().decode(errors="replace").strip()
    except OSError:
        return "?"
    return "".join(letter if letter.isprintable() else "?" for letter in text) or "?"


def mark_kept(pids: Iterable[int]) -> bool:
    """Mark processes as such that are to stay; False if one cannot be. Those gone count."""
    refused = [pid for pid in pids if not _mark_kept(pid)]
    return not refused


def stopped(pid: int) -> bool:
    """Whether `pid` is stopped, as by SIGSTOP, and waits for SIGCONT."""
    return _stat(pid)[:1] == [b"T"]


def started(pid: int) -> int:
    """Start time of `pid` in clock ticks since boot; 0 where there is no such process."""
    stat = _stat(pid)
    return int(stat[19]) if stat else 0


def _owner(pid: int) -> str:
    """Name of the user that a process belongs to; the number if it has none."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    except OSError:
        return "another user"


def _is_killed(pid: int) -> bool:
    """Whether SIGKILL waits for it. Source: proc_pid_status(5), a mask of pending signals."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    masks = [line.split()[1] for line in lines if line.startswith((b"SigPnd:", b"ShdPnd:"))]
    return any(int(mask, 16) >> (SIGKILL - 1) & 1 for mask in masks)


def _mark_kept(pid: int) -> bool:
    try:
        hard = resource.prlimit(pid, RLIMIT_RTTIME)[1]
        resource.prlimit(pid, RLIMIT_RTTIME, (KEPT, hard))
    except ProcessLookupError:
        return True
    except (AttributeError, PermissionError, ValueError):
        return False
    return True


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _look(marks: Collection[Mark]) -> Pass:
    """Look at all processes once, the newest first: the last of a chain of forks is the newest."""
    limits, cookies = _traces(marks)
    found, ended, complete = [], set(), True
    for pid in _others():
        carries = _carries(pid, limits, cookies)
        if carries is None:
            complete = False
        elif carries and alive(pid):
            found.append(pid)
        elif carries:
            ended.add(pid)
    return Pass(sorted(found), ended, complete)


def _signal(pids: Iterable[int], number: Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone meanwhile, or it took on another user's rights


def _group(pid: int) -> set[int]:
    """The process group of `pid`, unless it is our own; empty if there is no such process."""
    stat = _stat(pid)
    return {int(stat[GROUP])} - {0, os.getpgrp()} if stat else set()


def _kill_groups(groups: Iterable[int]) -> None:
    for group in groups:
        try:
            os.killpg(group, SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # none is left in it, or it took on another user's rights


def _others() -> list[int]:
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return []
    pids = {int(name) for name in names if name.isdecimal()}
    return sorted(pids - {os.getpid(), os.getppid()}, reverse=True)


def _traces(marks: Collection[Mark]) -> tuple[set[int], set[bytes]]:
    cookies = {f"{VARIABLE}={mark.cookie}".encode() for mark in marks}
    return {mark.limit for mark in marks}, cookies


def _carries(pid: int, limits: set[int], cookies: set[bytes]) -> bool | None:
    """By the limit, which takes microseconds to read; else by the environment. None if it ended."""
    try:
        return _limit(pid) in limits or not cookies.isdisjoint(_environment(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _limit(pid: int) -> int | None:
    """The soft limit of a process; without CAP_SYS_RESOURCE another user's is only read as text."""
    try:
        return resource.prlimit(pid, RLIMIT_RTTIME)[0]
    except PermissionError:
        line = _read(f"/proc/{pid}/limits").partition(b"Max realtime timeout")[2]
        soft = line.split(maxsplit=1)[:1]
        return int(soft[0]) if soft and soft[0].isdigit() else None


def _environment(pid: int) -> list[bytes]:
    """The variables of a process; empty if it has none, or if they are another user's.

    Raises ProcessLookupError if the process has ended. If only its first thread has, the others
    still have the variables.
    """
    if text := _read(f"/proc/{pid}/environ"):
        return text.split(b"\0")
    stat = _stat(pid)
    if not stat:
        raise ProcessLookupError
    if int(stat[THREADS]) > 1:
        for thread in os.listdir(f"/proc/{pid}/task"):
            if text := _read(f"/proc/{pid}/task/{thread}/environ"):
                return text.split(b"\0")
    return []


def _read(path: str) -> bytes:
    """What stands in a file of /proc; nothing if it may not be read, or its process has ended."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return b""
