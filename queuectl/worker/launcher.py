"""Child processes of a supervisor: start and reap them, signal and end their descendants.

The supervisor calls all of this from its one thread. Each child leads its own session and carries a
mark (process_mark.py), by which its descendants are found. A child is started in one of three ways:
without a shell, with posix_spawn (shell_free.py, docs/decisions/0010); with a shell or an argument
list, with posix_spawn; or, if a path may block, in a forked child (docs/decisions/0012).
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from . import forked_start, process_sweep, shell_free
from .forked_start import CATCHABLE
from .keeper import draw_kept_limit, soft_limit
from .mounts import Mounts
from .order import (
    EXHAUSTED,
    Exhausted,
    NotStarted,
    Order,
    not_entered,
    not_found,
    start_failure,
)
from .orphans import Orphans
from .path_search import absolute_candidates, find_program
from .process_mark import Mark

LISTED_BYTES = 4_096
"""Bytes to read at once from the kernel's list of children."""
KEEP_PASSES = 5
"""The most passes over the processes to keep, within one round of the worker."""
EXECUTE_AGAIN_S = 1.0
"""Pause between two attempts of a forked child to execute, while the machine lacks resources."""


class Child(NamedTuple):
    """A started process, leader of its own session."""

    pid: int
    output: int | None
    """Read end (non-blocking) of the pipe for its stdout and stderr."""


class ChildExit(NamedTuple):
    """How a child ended: an exit code or a signal, and the resources that it used."""

    pid: int
    exit_code: int | None
    signal: int | None
    cpu_us: int
    memory_bytes: int | None
    """Peak resident memory; None if not above this process's own, which the kernel includes."""
    memory_below_bytes: int | None = None
    """If `memory_bytes` is None: an upper bound of the peak."""
    refusal: NotStarted | None = None
    """Why its program was not started, as reported by a forked child."""


class Launcher(Protocol):
    """Starts and ends processes. The simulation has its own implementation."""

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        """Start a process. Does not raise: failures are returned."""

    def reap(self) -> list[ChildExit]:
        """Return the children that have ended since the last call. Reaps their orphans as well."""

    def send(self, marks: Collection[Mark], number: signal.Signals) -> int:
        """Send a signal to all processes with one of `marks`; return their number."""

    def orphans(self, mark: Mark) -> list[int]:
        """Return the pids of living descendants of an ended child. If there are none, forget it."""

    def kill(self, pids: list[int]) -> dict[int, str]:
        """Kill orphans, without waiting for their end. Return their names by pid."""

    def keep(self, mark: Mark) -> bool:
        """Keep the descendants of an ended child, even after the end of this process.

        Return False if the caller must call this again later.
        """

    def unendable(self, mark: Mark) -> list[process_sweep.Unendable]:
        """Return its processes that no signal ends."""


class OsLauncher:
    """Starts processes of this machine. `start` costs one vfork; the rest is prepared once.

    The log is UTF-8, so commands and variables are encoded as UTF-8, whatever the worker's locale.
    """

    def __init__(self, kept_limit: int | None = None) -> None:
        """kept_limit: the soft RLIMIT_RTTIME of processes that the keeper does not end."""
        self._kept_limit = draw_kept_limit() if kept_limit is None else kept_limit
        self._running: dict[int, Mark] = {}
        self._orphans = Orphans(self._kept_limit)
        self._reports: dict[int, int] = {}
        """By pid of a forked child: the pipe on which it reports why its program was not started.
        """
        self._mounts = Mounts()
        self._environment = dict(os.environb)
        self._shell_free_environment = (
            shell_free.inherited(self._environment) if shell_free.shell_is_dash() else None
        )
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._usual_limit = (
            resource.getrlimit(process_sweep.RLIMIT_RTTIME) if sys.platform == "linux" else (0, 0)
        )
        self._can_limit = self._usual_limit[1] == resource.RLIM_INFINITY
        self._ignored = {number for number in CATCHABLE if _is_ignored(number)}
        self._children = _listing_of_children()

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        """Start a process in its own session, with default signals and /dev/null as stdin.

        This process enters the directory and returns to `/` after the spawn: os.posix_spawn has no
        option for a directory, and no other code of this process uses a relative path. If a path is
        on a mount that may block, a forked child does it instead: see docs/decisions/0012.
        """
        cwd = order.cwd.encode()
        self._mounts.refresh()
        if not self._mounts.local(cwd):
            return self._start_forked(order)
        try:
            os.chdir(cwd)
        except OSError as error:
            return not_entered(order, error)
        try:
            return self._start_without_shell(order) or self._start(order)
        except OSError as error:
            return start_failure(error, order)
        finally:
            os.chdir("/")

    def reap(self) -> list[ChildExit]:
        """Return the children that have ended since the last call. Reaps their orphans as well."""
        ended: list[ChildExit] = []
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
                ended.append(_child_exit(pid, status, usage, own_peak, refusal))

    def send(self, marks: Collection[Mark], number: signal.Signals) -> int:
        """Send a signal to all processes with one of `marks`; return their number.

        Without /proc (macOS), it is sent to the process groups of running children.
        """
        if sys.platform == "linux":
            return len(process_sweep.send(marks, number))
        groups = [pid for pid, mark in self._running.items() if mark in marks]
        for pid in groups:  # not yet reaped, so the group is still its own
            os.killpg(pid, number)
        return len(groups)

    def orphans(self, mark: Mark) -> list[int]:
        """Return the pids of living descendants of an ended child. If there are none, forget it.

        This process is a subreaper, so orphaned descendants become its children.
        """
        return self._orphans.of(mark, self._all_children() - self._running.keys())

    def kill(self, pids: list[int]) -> dict[int, str]:
        """Kill orphans; SIGCHLD follows when they have ended. Return their names by pid."""
        names = {pid: process_sweep.name(pid) for pid in pids if process_sweep.alive(pid)}
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pass  # it changed to another user; all that can be done is to wait for it
        return names

    def keep(self, mark: Mark) -> bool:
        """Keep the descendants of an ended child, even after the end of this process.

        A process that cannot be marked as kept (it belongs to another user, or the hard limit is
        too low) is kept only while this process runs. Return False if some processes have forked
        during the search. The caller then tries again later: a chain of forks must not block it.
        """
        for _ in range(KEEP_PASSES):
            if not (orphans := self.orphans(mark)):
                return True
            survivors = process_sweep.survivors({mark})
            pids = {*orphans, *(pid for pid in survivors if soft_limit(pid) != self._kept_limit)}
            if not process_sweep.mark_kept(pids, self._kept_limit):
                return True
        return False

    def unendable(self, mark: Mark) -> list[process_sweep.Unendable]:
        """Return its processes that no signal ends."""
        return process_sweep.find_unendable({mark})

    def _all_children(self) -> set[int]:
        """Return the pids of this process's children, zombies included (Linux; elsewhere none)."""
        if self._children is None:
            return set()
        listing = last = os.pread(self._children, LISTED_BYTES, 0)
        while len(last) > LISTED_BYTES // 2:  # a read returns at most a page of whole numbers
            last = os.pread(self._children, LISTED_BYTES, len(listing))
            listing += last
        return set(map(int, listing.split()))

    def _start_without_shell(self, order: Order) -> Child | None:
        """Start a command without a shell; None if a shell is needed, even if only for its error.

        See docs/decisions/0010.
        """
        if order.argv or self._shell_free_environment is None:
            return None
        words = shell_free.words_of(order.command)
        variables = order.variables()
        if words is None or not shell_free.handed_on(tuple(variables)):
            return None
        if not self._runs_locally(words[0], order):
            return None
        program = find_program(words[0], order.search_path)
        if program is None:
            return None
        environment = {**self._shell_free_environment, **variables}
        pwd = environment.get(b"PWD")
        environment[b"PWD"] = shell_free.here(pwd if pwd and self._mounts.local(pwd) else None)
        try:
            return self._spawn(program, words, environment, order.mark)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return None

    def _start(self, order: Order) -> Child | NotStarted | Exhausted:
        if order.argv and not self._runs_locally(order.argv[0], order):
            return self._start_forked(order)
        program = find_program(order.program, order.search_path)
        if program is None:
            return not_found(order)
        environment = {**self._environment, **order.variables()}
        return self._spawn(program, order.words, environment, order.mark)

    def _runs_locally(self, name: str, order: Order) -> bool:
        if not self._mounts.any_foreign:
            return True
        return self._mounts.runs_locally(*absolute_candidates(order.cwd, name, order.search_path))

    def _start_forked(self, order: Order) -> Child | Exhausted:
        """Start a forked child, which then enters the directory and finds the program.

        The child may block; this process does not.
        """
        environment = {**self._environment, **order.variables()}
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
        """Return why a forked child that has ended did not start its program; None if it did."""
        if not (report := forked_start.report(self._reports.pop(pid))):
            return None
        return msgspec.json.decode(report, type=NotStarted)

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
        self._orphans.begin(mark, pid)
        return Child(pid, output)

    def _mark(self, limit: int) -> None:
        if self._can_limit:
            resource.setrlimit(process_sweep.RLIMIT_RTTIME, (limit, self._usual_limit[1]))

    def _unmark(self) -> None:
        if self._can_limit:
            resource.setrlimit(process_sweep.RLIMIT_RTTIME, self._usual_limit)


def _listing_of_children() -> int | None:
    """Open the kernel's list of the main thread's children, including adopted orphans.

    Return its descriptor; None if the system has no such list (macOS).
    """
    try:
        return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _is_ignored(number: signal.Signals) -> bool:
    """Return whether this process ignores the signal: a child inherits that, but no handlers."""
    return signal.getsignal(number) in (signal.SIG_IGN, None)


def _enter_and_execute(order: Order, environment: Mapping[bytes, bytes]) -> bytes:
    """In a forked child: execute the job's program, or return a NotStarted as JSON."""
    while True:
        try:
            os.chdir(order.cwd.encode())
        except OSError as error:
            return msgspec.json.encode(not_entered(order, error))
        if (program := find_program(order.program, order.search_path)) is None:
            return msgspec.json.encode(not_found(order))
        try:
            os.execve(program, [word.encode() for word in order.words], environment)
        except OSError as error:
            if isinstance(refusal := start_failure(error, order), NotStarted):
                return msgspec.json.encode(refusal)
        time.sleep(EXECUTE_AGAIN_S)


def _child_exit(
    pid: int,
    status: int,
    usage: resource.struct_rusage,
    own_peak: int,
    refusal: NotStarted | None,
) -> ChildExit:
    code = os.waitstatus_to_exitcode(status)
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return ChildExit(
        pid=pid,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        cpu_us=round((usage.ru_utime + usage.ru_stime) * 1e6),
        memory_bytes=peak_bytes if usage.ru_maxrss > own_peak else None,
        memory_below_bytes=None if usage.ru_maxrss > own_peak else peak_bytes,
        refusal=refusal,
    )
