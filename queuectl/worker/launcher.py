"""A child process: start it, reap it, signal and end all that it started."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from eventstore.events.job import FailureReason

from . import sweep
from .keeper import children
from .mark import VARIABLE, Mark

SHELL = "/bin/sh"
CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

EXHAUSTED = {
    errno.EAGAIN: "the machine is out of processes",
    errno.ENOMEM: "the machine is out of memory",
    errno.EMFILE: "the worker is out of file descriptors",
    errno.ENFILE: "the machine is out of file descriptors",
}
REASONS: dict[int, FailureReason] = {
    errno.ENOENT: "not-found",
    errno.ENOTDIR: "not-found",
    errno.ENAMETOOLONG: "not-found",
    errno.EACCES: "not-executable",
    errno.ENOEXEC: "not-executable",
    errno.EISDIR: "not-executable",
}


class Order(NamedTuple):
    """What to start, and where."""

    command: str
    argv: tuple[str, ...] | None
    """An argument list that no shell sees; None for `sh -c command`."""
    cwd: str
    env: Mapping[str, str]
    """What differs from the worker's own environment; PATH here is the one that is searched."""
    mark: Mark


class Child(NamedTuple):
    """A process that runs, leader of its session."""

    pid: int
    output: int | None
    """Read end, non-blocking, of the pipe that is its stdout and stderr."""


class NotStarted(NamedTuple):
    """It cannot be started, now or ever: the attempt has failed."""

    reason: FailureReason
    error: str


class Exhausted(NamedTuple):
    """The machine lacks something at the moment; it is not the job's fault."""

    error: str


class Exit(NamedTuple):
    """How a child ended: an exit code or a signal, and what it used."""

    pid: int
    exit_code: int | None
    signal: int | None
    cpu_us: int
    memory_bytes: int | None
    """Peak resident; None where it is not above the launcher's own, which the kernel counts in."""


class Launcher(Protocol):
    """Where processes come from."""

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        """Start a process."""

    def reap(self) -> list[Exit]:
        """The children that have ended since; their orphans are reaped in passing."""

    def send(self, marks: Collection[Mark], number: signal.Signals) -> int:
        """Signal everything that bears one of `marks`; how many processes that were."""

    def orphans(self, mark: Mark) -> list[int]:
        """What an ended child left behind and still lives; once empty, its mark is done with."""

    def kill(self, pids: list[int]) -> None:
        """End orphans; that they are gone is seen after the next SIGCHLD."""


class OsLauncher:
    """Processes of this machine. `start` costs one vfork; all else is prepared once.

    The log is UTF-8, and so is what a job is started with, whatever the worker's locale.
    """

    def __init__(self) -> None:
        self._running: dict[int, Mark] = {}
        self._marks: set[Mark] = set()
        self._environment = dict(os.environb)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._usual = resource.getrlimit(sweep.RLIMIT_RTTIME) if sys.platform == "linux" else (0, 0)
        self._can_limit = self._usual[1] == resource.RLIM_INFINITY

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        """Start a process in its own session, with default signals and nothing to read.

        Its directory is entered and left again: posix_spawn knows none in Python 3.11, and nothing
        else in this process uses a relative path.
        """
        try:
            os.chdir(order.cwd.encode())
        except OSError as error:
            return NotStarted("no-directory", f"{order.cwd}: {error.strerror}")
        try:
            program = _find(order)
            if program is None:
                return NotStarted("not-found", f"{_name(order)} is nowhere in PATH")
            return self._spawn(program, order)
        except OSError as error:
            return _told(error, order)
        finally:
            os.chdir("/")

    def reap(self) -> list[Exit]:
        """The children that have ended since; their orphans are reaped in passing."""
        ended: list[Exit] = []
        own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if self._running.pop(pid, None):
                ended.append(_exit(pid, status, usage, own_peak))

    def send(self, marks: Collection[Mark], number: signal.Signals) -> int:
        """Signal everything that bears one of `marks`; how many processes that were."""
        if sys.platform == "linux":
            return len(sweep.send(marks, number))
        groups = [pid for pid, mark in self._running.items() if mark in marks]
        for pid in groups:  # not yet reaped, so the group is still its own
            os.killpg(pid, number)
        return len(groups)

    def orphans(self, mark: Mark) -> list[int]:
        """What an ended child left behind and still lives; once empty, its mark is done with.

        As a subreaper this process is the parent of all that lost theirs, and of their children as
        they die in turn. What bears no mark of another attempt is of this one.
        """
        orphans = children() - self._running.keys()
        if orphans:
            orphans.difference_update(sweep.bearers(orphans, self._marks - {mark}))
        if not orphans:
            self._marks.discard(mark)
        return sorted(orphans)

    def kill(self, pids: list[int]) -> None:
        """End orphans; that they are gone is seen after the next SIGCHLD."""
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pass  # it took on another user's rights; all that is left is to wait for it

    def _spawn(self, program: str, order: Order) -> Child:
        read, write = os.pipe()
        try:
            self._mark(order.mark.limit)
            pid = os.posix_spawn(
                program.encode(),
                [word.encode() for word in order.argv or ("sh", "-c", order.command)],
                self._environment_of(order),
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, self._null, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_DUP2, write, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=CATCHABLE,
            )
        except OSError:
            os.close(read)
            raise
        finally:
            self._unmark()
            os.close(write)
        os.set_blocking(read, False)
        self._running[pid] = order.mark
        self._marks.add(order.mark)
        return Child(pid, read)

    def _environment_of(self, order: Order) -> dict[bytes, bytes]:
        given = {name.encode(): value.encode() for name, value in order.env.items()}
        return {**self._environment, **given, VARIABLE.encode(): order.mark.cookie.encode()}

    def _mark(self, limit: int) -> None:
        if self._can_limit:
            resource.setrlimit(sweep.RLIMIT_RTTIME, (limit, self._usual[1]))

    def _unmark(self) -> None:
        if self._can_limit:
            resource.setrlimit(sweep.RLIMIT_RTTIME, self._usual)


def _name(order: Order) -> str:
    return order.argv[0] if order.argv else SHELL


def _find(order: Order) -> str | None:
    """The program's file, as `execvp` would find it from the job's own directory and PATH.

    One that is there but may not be executed is still the answer, so that the reason is told right.
    """
    name = _name(order)
    if "/" in name:
        return name
    forbidden = None
    for folder in order.env.get("PATH", os.defpath).split(":"):
        candidate = os.path.join(folder or ".", name)
        if os.path.isfile(candidate.encode()):
            if os.access(candidate.encode(), os.X_OK):
                return candidate
            forbidden = forbidden or candidate
    return forbidden


def _told(error: OSError, order: Order) -> NotStarted | Exhausted:
    number = error.errno or 0
    if number in EXHAUSTED:
        return Exhausted(EXHAUSTED[number])
    if number == errno.E2BIG:
        return NotStarted(
            "launch", "argument list too long: its arguments and environment together"
        )
    reason = REASONS.get(number, "launch")
    told = f"{_name(order)}: {os.strerror(number)}"
    if reason == "not-found" and os.path.exists((_find(order) or "").encode()):
        return NotStarted(reason, f"{told}: the interpreter in its first line")
    return NotStarted(reason, told)


def _exit(pid: int, status: int, usage: resource.struct_rusage, own_peak: int) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return Exit(
        pid=pid,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        cpu_us=round((usage.ru_utime + usage.ru_stime) * 1e6),
        memory_bytes=usage.ru_maxrss * unit if usage.ru_maxrss > own_peak else None,
    )
