"""Finding the processes that hold a lock on a queue file or have it open, if they are visible."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from ..file_identity import file_identity

_WRITE_LOCK = 120
"""The byte of the -shm whose lock lets one connection write.

Source: https://www.sqlite.org/walformat.html, 2.3.1.
"""
_MAIN_LOCKS = range(0x40000000, 0x40000000 + 512)
"""The bytes of the database file by which a rollback or exclusive connection locks it."""
_SHOWN = 60
"""The most characters of a command line to show."""


class Process(NamedTuple):
    """A running process."""

    pid: int
    command: str
    """Its command line, shortened, without the program's folder; empty if it is not visible."""
    stopped: bool
    """True if it was stopped, such as by Ctrl-Z or SIGSTOP."""

    def __str__(self) -> str:
        command = f" ({self.command})" if self.command else ""
        return f"process {self.pid}{command}" + (", which is stopped" if self.stopped else "")


def writer(path: str) -> Process | None:
    """Return the process that holds the write lock of the queue at `path`; None if not visible."""
    for name, locked in ((f"{path}-shm", range(_WRITE_LOCK, _WRITE_LOCK + 1)), (path, _MAIN_LOCKS)):
        inode = _inode(name)
        for pid, begin, end in _write_locks(inode):
            if begin < locked.stop and end >= locked.start and pid != os.getpid():
                return process(pid)
    return None


def users(path: str) -> list[Process]:
    """Return the other processes that have the file at `path` open. Linux only; elsewhere none."""
    file = file_identity(path)
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []
    if file is None:
        return []
    return [process(pid) for pid in sorted(pids) if pid != os.getpid() and has_open(pid, file)]


def has_open(pid: int, file: tuple[int, int]) -> bool:
    """Return True if a process has a file open. file: its device and inode. Linux only.

    False if the open files of the process may not be read.
    """
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:  # the process belongs to another user, or has ended
        return False
    return any(file_identity(f"{folder}/{number}") == file for number in numbers)


def process(pid: int) -> Process:
    """Return the process with this pid, with the facts that this user may see."""
    program, *arguments = _read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")
    words = " ".join(" ".join((os.path.basename(program), *arguments)).split())
    command = words if len(words) <= _SHOWN else f"{words[: _SHOWN - 1]}…"
    # Source: proc_pid_stat(5): the state follows the name, which is in parentheses.
    state = _read(f"/proc/{pid}/stat").rpartition(b") ")[2][:1]
    return Process(pid, command, state == b"T")


def _write_locks(inode: int | None) -> Iterator[tuple[int, int, int]]:
    """Yield pid, first and last byte of each write lock on a file.

    Source: proc_locks(5). Lines with `->` are processes that wait for a lock. The device is not
    compared, because file systems with subvolumes show another number here than in `stat`.
    """
    for line in _read("/proc/locks").decode(errors="replace").splitlines():
        fields = line.split()
        if "->" in fields or len(fields) < 8 or fields[3] != "WRITE":
            continue
        pid, _, _, number = fields[4], *fields[5].split(":")
        if number == str(inode) and int(pid) > 0:
            last = 2**63 if fields[7] == "EOF" else int(fields[7])
            yield int(pid), int(fields[6]), last


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
