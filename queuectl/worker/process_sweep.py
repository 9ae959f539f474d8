"""The search for processes that carry the marks of given attempts, and their killing.

All facts are read from /proc; without it (macOS) no process is found. See docs/decisions/0004.
"""

import os
import pwd
import resource
import time
from collections.abc import Collection, Iterable
from signal import SIGKILL, Signals
from typing import NamedTuple

from .keeper import KEPT_BYTES, KEPT_FROM, soft_limit
from .process_mark import VARIABLE, Mark

RLIMIT_RTTIME = 15
"""The number in Linux; the resource module of Python 3.11 has no name for it."""
PAUSE_S = 0.002
GROUP, SESSION, THREADS = 2, 3, 17
"""Indexes of process group, session and number of threads in the fields that `_stat` returns."""
STUCK_US = 2_000_000
"""After a signal, how long to wait before searching for processes that it did not end."""
QUIET_PASSES = 2
"""This many consecutive passes must find no process: fast forks may escape a single pass."""


class Unendable(NamedTuple):
    """A process that this user's signals do not end."""

    pid: int
    name: str
    user: str | None
    """Its owner, if that is another user; None if it was killed and hangs in the kernel."""


class Pass(NamedTuple):
    """The result of a pass over all processes."""

    survivors: list[int]
    """Pids of living processes with one of the marks, ascending."""
    ended: set[int]
    """Pids of zombies with one of the marks."""
    complete: bool
    """False if a listed process ended before it was read: it may have forked before that."""


def bearers(pids: Iterable[int], marks: Collection[Mark]) -> list[int]:
    """Return those of `pids` that carry one of `marks`, including zombies."""
    limits, cookies = _traces(marks)
    return [pid for pid in pids if _carries(pid, limits, cookies)]


def survivors(marks: Collection[Mark]) -> list[int]:
    """Return the pids of living processes with one of `marks`, except this one and its parent."""
    return _pass_over(marks).survivors


def send(marks: Collection[Mark], number: Signals) -> list[int]:
    """Send a signal once to each survivor; return their pids."""
    pids = survivors(marks)
    _signal(pids, number)
    return pids


def find_unendable(marks: Collection[Mark]) -> list[Unendable]:
    """Return survivors that belong to another user, or were killed and hang in the kernel."""
    processes = []
    for pid in survivors(marks):
        try:
            os.kill(pid, 0)
        except PermissionError:
            processes.append(Unendable(pid, name(pid), _owner(pid)))
        except ProcessLookupError:
            continue
        else:
            if _is_killed(pid):
                processes.append(Unendable(pid, name(pid), None))
    return processes


def kill_all(marks: Collection[Mark], within_s: float = 1.0) -> bool:
    """Kill survivors until none is left; return False if one is alive after `within_s`.

    Their process groups are killed as well: no fork escapes that. An attempt shares its groups with
    no other process, because it has its own session.
    """
    deadline = time.monotonic() + within_s
    quiet, ended, killed, groups = 0, set[int](), set[int](), set[int]()
    while marks and quiet < QUIET_PASSES:
        current = _pass_over(marks)
        newly_ended = current.ended - ended
        groups.update(*(_group(pid) for pid in (*current.survivors, *newly_ended)))
        _signal(current.survivors, SIGKILL)
        _kill_groups(groups)
        if time.monotonic() > deadline:
            return not current.survivors and newly_ended <= killed
        quiet = quiet + 1 if current.complete and not current.survivors and not newly_ended else 0
        ended |= newly_ended
        killed.update(current.survivors)
        if current.survivors:
            time.sleep(PAUSE_S)  # waitpid is not possible: they are not children of this process
    return True


def alive(pid: int) -> bool:
    """Return whether `pid` is a process that has not ended. A zombie has ended.

    If only its first thread has ended, the kernel reports a zombie although other threads run.
    """
    stat = _stat(pid)
    return bool(stat) and (stat[0] not in (b"Z", b"X") or int(stat[THREADS]) > 1)


def name(pid: int) -> str:
    """Return the kernel's name of a process, safe to print; `?` if the process is gone."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            text = file.read().decode(errors="replace").strip()
    except OSError:
        return "?"
    return "".join(letter if letter.isprintable() else "?" for letter in text) or "?"


def mark_kept(pids: Iterable[int], kept_limit: int) -> bool:
    """Mark processes as kept. Return False if one cannot be marked; ended ones count as marked.

    kept_limit: the soft RLIMIT_RTTIME of processes that this worker keeps.
    """
    refused = [pid for pid in pids if not _mark_kept(pid, kept_limit)]
    return not refused


def is_kept(pid: int) -> bool:
    """Return whether a worker has marked this process as kept."""
    return KEPT_FROM <= soft_limit(pid) < KEPT_FROM + (1 << 8 * KEPT_BYTES)


def session(pid: int) -> int:
    """Return the session of a process; 0 if there is no such process."""
    stat = _stat(pid)
    return int(stat[SESSION]) if stat else 0


def stopped(pid: int) -> bool:
    """Return whether `pid` is stopped, such as by SIGSTOP, and waits for SIGCONT."""
    return _stat(pid)[:1] == [b"T"]


def started(pid: int) -> int:
    """Return the start time of `pid` in clock ticks since boot; 0 if there is no such process."""
    stat = _stat(pid)
    return int(stat[19]) if stat else 0


def _owner(pid: int) -> str:
    """Return the name of the user that a process belongs to; the number if it has no name."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    except OSError:
        return "another user"


def _is_killed(pid: int) -> bool:
    """Return whether SIGKILL is pending. Source: proc_pid_status(5), masks of pending signals."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    masks = [line.split()[1] for line in lines if line.startswith((b"SigPnd:", b"ShdPnd:"))]
    return any(int(mask, 16) >> (SIGKILL - 1) & 1 for mask in masks)


def _mark_kept(pid: int, kept_limit: int) -> bool:
    try:
        hard = resource.prlimit(pid, RLIMIT_RTTIME)[1]
        resource.prlimit(pid, RLIMIT_RTTIME, (kept_limit, hard))
    except ProcessLookupError:
        return True
    except (AttributeError, PermissionError, ValueError):
        return False
    return True


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat after the name, which may contain any character."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _pass_over(marks: Collection[Mark]) -> Pass:
    """Read all processes once, in descending order of pid: the newest of a fork chain is first."""
    limits, cookies = _traces(marks)
    living, ended, complete = [], set(), True
    for pid in _others():
        carries = _carries(pid, limits, cookies)
        if carries is None:
            complete = False
        elif carries and alive(pid):
            living.append(pid)
        elif carries:
            ended.add(pid)
    return Pass(sorted(living), ended, complete)


def _signal(pids: Iterable[int], number: Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, or it changed to another user


def _group(pid: int) -> set[int]:
    """Return the process group of `pid` in a set; empty if it is this process's own, or unknown."""
    stat = _stat(pid)
    return {int(stat[GROUP])} - {0, os.getpgrp()} if stat else set()


def _kill_groups(groups: Iterable[int]) -> None:
    for group in groups:
        try:
            os.killpg(group, SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # the group is empty, or its processes changed to another user


def _others() -> list[int]:
    """Return the pids of all processes but this one and its parent, in descending order."""
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return []
    pids = {int(name) for name in names if name.isdecimal()}
    return sorted(pids - {os.getpid(), os.getppid()}, reverse=True)


def _traces(marks: Collection[Mark]) -> tuple[set[int], set[bytes]]:
    """Return the limits and the environment variables that processes with these marks have."""
    cookies = {f"{VARIABLE}={mark.cookie}".encode() for mark in marks}
    return {mark.limit for mark in marks}, cookies


def _carries(pid: int, limits: set[int], cookies: set[bytes]) -> bool | None:
    """Return whether a process carries one of these marks; None if it has ended.

    The limit is checked first: reading it takes only microseconds.
    """
    try:
        return _limit(pid) in limits or not cookies.isdisjoint(_environment(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None


def _limit(pid: int) -> int | None:
    """Return the soft RLIMIT_RTTIME of a process; None if it cannot be read.

    `prlimit` on a process of another user needs CAP_SYS_RESOURCE; then the limit is read from
    /proc.
    """
    try:
        return resource.prlimit(pid, RLIMIT_RTTIME)[0]
    except PermissionError:
        line = _read(f"/proc/{pid}/limits").partition(b"Max realtime timeout")[2]
        soft = line.split(maxsplit=1)[:1]
        return int(soft[0]) if soft and soft[0].isdigit() else None


def _environment(pid: int) -> list[bytes]:
    """Return the variables of a process; empty if it has none or belongs to another user.

    Raises ProcessLookupError if the process has ended. If only its first thread has ended, the
    variables are read from another thread.
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
    """Return the content of a file in /proc; empty if unreadable or if its process has ended."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (PermissionError, FileNotFoundError, ProcessLookupError):
        return b""
