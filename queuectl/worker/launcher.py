"""A child process: start it, reap it, signal and end all that it started."""

import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from eventstore.events.job import FailureReason

from . import forked_start, process_sweep, shell_free
from .forked_start import CATCHABLE
from .keeper import is_kept
from .mounts import Mounts
from .path_search import absolute_candidates, find
from .process_mark import VARIABLE, Mark

LISTED_BYTES = 4_096
TRY_AGAIN_S = 1.0
"""Between two tries of a forked child, while the machine lacks something."""

OUT_OF_PROCESSES = "the machine is out of processes"
EXHAUSTED = {
    errno.EAGAIN: OUT_OF_PROCESSES,
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
    """Peak resident; None if it is not above the launcher's own, which the kernel counts in."""
    memory_below_bytes: int | None = None
    """If that is None: what the peak did not exceed."""
    refusal: NotStarted | None = None
    """Why its program was not started, if its child had to find that out."""


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

    def kill(self, pids: list[int]) -> dict[int, str]:
        """End orphans; that they are gone is seen after the next SIGCHLD. Returns their names."""

    def keep(self, mark: Mark) -> None:
        """Let what an ended child left behind live on, whatever happens to this process."""

    def unendable(self, mark: Mark) -> list[process_sweep.Unendable]:
        """Its processes that no signal ends."""


class OsLauncher:
    """Processes of this machine. `start` costs one vfork; all else is prepared once.

    The log is UTF-8, and so is what a job is started with, whatever the worker's locale.
    """

    def __init__(self) -> None:
        self._running: dict[int, Mark] = {}
        self._reports: dict[int, int] = {}
        """By pid of a forked child: where it reports that its program was not started."""
        self._mounts = Mounts()
        self._marks: set[Mark] = set()
        self._environment = dict(os.environb)
        self._plain_environment = (
            shell_free.inherited(self._environment) if shell_free.shell_is_dash() else None
        )
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._usual = (
            resource.getrlimit(process_sweep.RLIMIT_RTTIME) if sys.platform == "linux" else (0, 0)
        )
        self._can_limit = self._usual[1] == resource.RLIM_INFINITY
        self._ignored = {number for number in CATCHABLE if _is_ignored(number)}
        self._children = _listing_of_children()

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        """Start a process in its own session, with default signals and nothing to read.

        The directory is entered and left again: posix_spawn knows none in Python 3.11, and nothing
        else in this process uses a relative path. What lies on a mount that may block is entered,
        looked up and executed in a forked child instead: see docs/decisions/0012.
        """
        cwd = order.cwd.encode()
        self._mounts.refresh()
        if not self._mounts.local(cwd):
            return self._start_apart(order)
        try:
            os.chdir(cwd)
        except OSError as error:
            return _not_entered(order, error)
        try:
            return self._start_plain(order) or self._start(order)
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
                refusal = self._refusal(pid) if pid in self._reports else None
                ended.append(_exit(pid, status, usage, own_peak, refusal))

    def send(self, marks: Collection[Mark], number: signal.Signals) -> int:
        """Signal everything that bears one of `marks`; how many processes that were."""
        if sys.platform == "linux":
            return len(process_sweep.send(marks, number))
        groups = [pid for pid, mark in self._running.items() if mark in marks]
        for pid in groups:  # not yet reaped, so the group is still its own
            os.killpg(pid, number)
        return len(groups)

    def orphans(self, mark: Mark) -> list[int]:
        """What an ended child left behind and still lives; once empty, its mark is done with.

        As a subreaper this process is the parent of all that lost theirs, and of their children as
        they die in turn. What bears no mark of another attempt is of this one.
        """
        orphans = self._all_children() - self._running.keys()
        if orphans:
            orphans = {pid for pid in orphans if not is_kept(pid)}
            orphans.difference_update(process_sweep.bearers(orphans, self._marks - {mark}))
        if not orphans:
            self._marks.discard(mark)
        return sorted(orphans)

    def kill(self, pids: list[int]) -> dict[int, str]:
        """End orphans; that they are gone is seen after the next SIGCHLD. Returns their names."""
        names = {pid: process_sweep.name(pid) for pid in pids if process_sweep.alive(pid)}
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pass  # it took on another user's rights; all that is left is to wait for it
        return names

    def keep(self, mark: Mark) -> None:
        """Let what an ended child left behind live on, whatever happens to this process.

        What cannot be marked as kept (another user's, or the hard limit is too low) lives on as
        long as this process does.
        """
        while orphans := self.orphans(mark):
            left = {*orphans, *(pid for pid in process_sweep.survivors({mark}) if not is_kept(pid))}
            if not process_sweep.mark_kept(left):
                return

    def unendable(self, mark: Mark) -> list[process_sweep.Unendable]:
        """Its processes that no signal ends."""
        return process_sweep.unendable({mark})

    def _all_children(self) -> set[int]:
        """Pids of this process's children, ended and not yet reaped ones too (Linux; else none)."""
        if self._children is None:
            return set()
        listing = last = os.pread(self._children, LISTED_BYTES, 0)
        while len(last) > LISTED_BYTES // 2:  # the kernel hands out a page of whole numbers at most
            last = os.pread(self._children, LISTED_BYTES, len(listing))
            listing += last
        return set(map(int, listing.split()))

    def _start_plain(self, order: Order) -> Child | None:
        """Without a shell; None where one is needed after all, be it to say what is wrong."""
        if order.argv or self._plain_environment is None:
            return None
        words = shell_free.words_of(order.command)
        given = _given(order)
        if words is None or not shell_free.handed_on(tuple(given)):
            return None
        if not self._runs_locally(words[0], order):
            return None
        program = find(words[0], _path(order))
        if program is None:
            return None
        environment = {**self._plain_environment, **given}
        said = environment.get(b"PWD")
        environment[b"PWD"] = shell_free.here(said if said and self._mounts.local(said) else None)
        try:
            return self._spawn(program, words, environment, order.mark)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return None

    def _start(self, order: Order) -> Child | NotStarted | Exhausted:
        if order.argv and not self._runs_locally(order.argv[0], order):
            return self._start_apart(order)
        program = find(_name(order), _path(order))
        if program is None:
            return _not_found(order)
        environment = {**self._environment, **_given(order)}
        return self._spawn(program, _words(order), environment, order.mark)

    def _runs_locally(self, name: str, order: Order) -> bool:
        if not self._mounts.any_foreign:
            return True
        return self._mounts.runs_locally(*absolute_candidates(order.cwd, name, _path(order)))

    def _start_apart(self, order: Order) -> Child | Exhausted:
        """In a forked child, which may block: it enters the directory and finds the program."""
        environment = {**self._environment, **_given(order)}
        read, write = os.pipe()
        try:
            self._mark(order.mark.limit)
            pid, report = forked_start.fork(
                (self._null, write, write), lambda: _enter_and_execute(order, environment)
            )
        except OSError as error:
            os.close(read)
            return Exhausted(EXHAUSTED.get(error.errno or 0, str(error.strerror)))
        finally:
            self._unmark()
            os.close(write)
        self._reports[pid] = report
        return self._started(pid, read, order.mark)

    def _refusal(self, pid: int) -> NotStarted | None:
        """Why a forked child that has ended did not start its program; None if it did."""
        if not (said := forked_start.report(self._reports.pop(pid))):
            return None
        return msgspec.json.decode(said, type=NotStarted)

    def _spawn(
        self, program: bytes, words: Sequence[str], environment: dict[bytes, bytes], mark: Mark
    ) -> Child:
        read, write = os.pipe()
        try:
            self._mark(mark.limit)
            pid = os.posix_spawn(
                program,
                [word.encode() for word in words],
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, self._null, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_DUP2, write, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=self._ignored,
            )
        except OSError:
            os.close(read)
            raise
        finally:
            self._unmark()
            os.close(write)
        return self._started(pid, read, mark)

    def _started(self, pid: int, output: int, mark: Mark) -> Child:
        os.set_blocking(output, False)
        self._running[pid] = mark
        self._marks.add(mark)
        return Child(pid, output)

    def _mark(self, limit: int) -> None:
        if self._can_limit:
            resource.setrlimit(process_sweep.RLIMIT_RTTIME, (limit, self._usual[1]))

    def _unmark(self) -> None:
        if self._can_limit:
            resource.setrlimit(process_sweep.RLIMIT_RTTIME, self._usual)


def _listing_of_children() -> int | None:
    """Open once, read at each end of a job. Orphans come to the main thread, which also forks."""
    try:
        return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _is_ignored(number: signal.Signals) -> bool:
    """Whether a child would inherit that this signal does nothing; handlers end with `exec`."""
    return signal.getsignal(number) in (signal.SIG_IGN, None)


def _enter_and_execute(order: Order, environment: Mapping[bytes, bytes]) -> bytes:
    """In a forked child: become the job's program, or return the NotStarted that says why not."""
    while True:
        try:
            os.chdir(order.cwd.encode())
        except OSError as error:
            return msgspec.json.encode(_not_entered(order, error))
        if (program := find(_name(order), _path(order))) is None:
            return msgspec.json.encode(_not_found(order))
        try:
            os.execve(program, [word.encode() for word in _words(order)], environment)
        except OSError as error:
            if isinstance(refusal := _told(error, order), NotStarted):
                return msgspec.json.encode(refusal)
        time.sleep(TRY_AGAIN_S)


def _not_entered(order: Order, error: OSError) -> NotStarted:
    return NotStarted("no-directory", f"{order.cwd}: {error.strerror}")


def _not_found(order: Order) -> NotStarted:
    return NotStarted("not-found", f"{_name(order)}: command not found")


def _words(order: Order) -> Sequence[str]:
    return order.argv or ("sh", "-c", order.command)


def _name(order: Order) -> str:
    return order.argv[0] if order.argv else shell_free.SHELL


def _path(order: Order) -> str:
    return order.env.get("PATH", os.defpath)


def _given(order: Order) -> dict[bytes, bytes]:
    given = {name.encode(): value.encode() for name, value in order.env.items()}
    given[VARIABLE.encode()] = order.mark.cookie.encode()
    return given


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
    if reason == "not-found" and os.path.exists(find(_name(order), _path(order)) or b""):
        return NotStarted(reason, f"{told}: the interpreter in its first line")
    return NotStarted(reason, told)


def _exit(
    pid: int,
    status: int,
    usage: resource.struct_rusage,
    own_peak: int,
    refusal: NotStarted | None,
) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Exit(
        pid=pid,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        cpu_us=round((usage.ru_utime + usage.ru_stime) * 1e6),
        memory_bytes=peak_bytes if usage.ru_maxrss > own_peak else None,
        memory_below_bytes=None if usage.ru_maxrss > own_peak else peak_bytes,
        refusal=refusal,
    )
