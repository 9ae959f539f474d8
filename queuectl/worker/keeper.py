"""The parent process of the supervisor. It survives the supervisor and ends its jobs' processes.

`worker start` becomes the keeper. It forks the supervisor before there are threads, locks or an
open database, and takes no part in running jobs. It imports no other module of this program (only
the standard library), so that a bug elsewhere cannot break it.

Two processes run at the same time: the keeper waits in `_watch` for signals and for the end of its
child; the supervisor runs the loop. If the queue is on a server, the supervisor names a time at
which all its jobs must have ended, again and again, and the keeper kills it if that time passes:
it may be stopped or hang. The order after the supervisor's death matters: the keeper
first kills and reaps all remaining processes of the jobs, and only then closes the worker's lock.
Another worker that sees the lock free can therefore rely on the fact that no job is running.

On Linux both are child subreapers, so that no orphan of a job escapes them. macOS has no
subreapers: there the orphans of a killed supervisor become children of launchd, and the claims are
requeued only when another worker checks for dead workers.
"""

import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DELIBERATE = frozenset({0, 2, 3, 4, 5, 6, 7, 8, 10, 130})
"""Exit codes of a supervisor that ended on purpose; after any other end it is restarted."""
LEASE_ENDED = 11
"""Exit code of a supervisor whose lease has ended. Its restarts are not limited: it is no bug."""
LOOK_S = 1.0
"""Pause between two looks at the clock: it may have gone on while the machine slept."""
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock of deadlines: it counts on while the machine sleeps, and is never set."""
TOGETHER_S = 0.01
"""Signals within this time are one request: `timeout` signals its child, then the whole group."""
KILL_AGAIN_S, LONGEST_KILL_PAUSE_S = 0.001, 0.1
"""Pauses between two looks whether all killed processes have ended; each is twice the last one."""
FORK_AGAIN_S = 1.0
"""Pause between two attempts to fork."""
RESTARTS, WITHIN_S = 3, 60.0
"""Give up at the next crash after this many restarts within this time."""
PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_RTTIME = 15
"""The same as in process_sweep.py, which this file must not import."""
KEPT_FROM = 2**62 + 2**61
KEPT_BYTES = 5
"""Processes that a finished job left running on purpose have a soft RLIMIT_RTTIME of KEPT_FROM plus
a random number of this length. Each keeper draws its own, so that no job can guess it."""


def keep(
    supervise: Callable[[socket.socket, tuple[str, ...], int], int],
    start: str = "queuectl worker start",
) -> int:
    """Run `supervise` in a child process, and again if the child crashes.

    Return in both processes: in the supervisor with the result of `supervise`, so that its errors
    are reported like those of any command; in the keeper with the supervisor's exit code. start:
    the command that is suggested to the user if the keeper gives up.

    `supervise` takes a socket to the keeper, the names of the previous supervisors, and the soft
    RLIMIT_RTTIME of kept processes. Over the socket the supervisor sends lines, see `Messages`. In
    the other direction each byte is the number of a stop signal that the keeper received, now or
    during a previous supervisor. End of file means that the other process is dead.
    """
    _open_standard_descriptors()
    adopt_orphans()
    wakeup = _listen()
    restarts: deque[float] = deque(maxlen=RESTARTS)
    stops: list[int] = []
    names: list[str] = []
    kept_limit = draw_kept_limit()
    is_first = True
    while True:
        ours, theirs = socket.socketpair()
        _pass_on(ours, stops)  # before the fork: the supervisor reads them before it takes a job
        pid = _fork() if is_first else _fork_again(wakeup)
        is_first = False
        if pid is None:
            return 1
        if pid == 0:
            ours.close()
            os.close(wakeup)
            return supervise(theirs, tuple(names), kept_limit)
        theirs.close()
        code, held = _watch(pid, ours, wakeup, stops, names, kept_limit)
        end_children(kept_limit)
        for descriptor in held:
            os.close(descriptor)
        ours.close()
        if code in DELIBERATE:
            return code
        if code != LEASE_ENDED:
            if len(restarts) == RESTARTS and time.monotonic() - restarts[0] < WITHIN_S:
                _say(
                    f"error: the supervisor {_how(code)}, the fourth time within a minute; giving"
                    f" up. Its jobs were ended; the next worker requeues them: {start}"
                )
                return 1
            restarts.append(time.monotonic())
        stops += _requests(wakeup)
        why = " to requeue them" if stops else ""
        _say(f"the supervisor {_how(code)}; its jobs were ended; starting it again{why}")


def adopt_orphans() -> None:
    """Make this process the new parent of all orphans among its descendants (Linux)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def children() -> set[int]:
    """Return the pids of this process's children, zombies included (Linux; elsewhere none).

    The kernel lists children per thread. Orphans become children of the main thread, which also
    forks; its id equals the pid.
    """
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
            return set(map(int, file.read().split()))
    except FileNotFoundError:
        return set()


def descendants(kept_limit: int) -> list[int]:
    """Return the pids of all processes below this one, the deepest first, zombies included.

    Those with the soft limit `kept_limit` are left out, and with them all below them.
    """
    pids: list[int] = []
    level = children()
    while level := {pid for pid in level if soft_limit(pid) != kept_limit} - {*pids}:
        pids = [*sorted(level, reverse=True), *pids]
        level = {child for pid in level for child in _children_of(pid)}
    return pids


def _children_of(pid: int) -> set[int]:
    """Return the children of all threads of a process; empty if it is gone or unreadable."""
    listed: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                listed.update(map(int, file.read().split()))
    except OSError:
        pass
    return listed


def draw_kept_limit() -> int:
    """Return a soft RLIMIT_RTTIME by which a worker recognizes the processes that it kept."""
    return KEPT_FROM + int.from_bytes(os.urandom(KEPT_BYTES))


def soft_limit(pid: int) -> int:
    """Return the soft RLIMIT_RTTIME of a process; 0 if that cannot be read."""
    try:
        return int(resource.prlimit(pid, _RLIMIT_RTTIME)[0])
    except (AttributeError, OSError):  # macOS; gone, or another user's
        return 0


def end_children(kept_limit: int) -> None:
    """Kill and reap children until there are none. Orphaned descendants become children as well.

    Processes with the soft limit `kept_limit` are neither killed nor waited for. The deepest are
    killed first: the kernel continues stopped processes when their group is orphaned.
    """
    if sys.platform != "linux":
        _reap(0)
        return
    pause_s = KILL_AGAIN_S
    while kill_descendants(kept_limit):
        # A killed process may not end yet, or not be ours to reap while a debugger has it. New
        # children may come until then.
        if _reap(os.WNOHANG):
            pause_s = KILL_AGAIN_S
        else:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_KILL_PAUSE_S)


def kill_descendants(kept_limit: int) -> bool:
    """Kill all processes below this one, without waiting for their end; return whether any exist.

    Those with the soft limit `kept_limit` are left out.
    """
    doomed = descendants(kept_limit)
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except (PermissionError, ProcessLookupError):
            pass  # it changed to another user (all that can be done is to wait), or has ended
    return bool(doomed)


def _reap(options: int) -> bool:
    """Reap ended children; return whether there was one. options: 0 to wait for all of them."""
    any_reaped = False
    try:
        while os.waitpid(-1, options)[0]:
            any_reaped = True
    except ChildProcessError:
        pass
    return any_reaped


def _open_standard_descriptors() -> None:
    """Open /dev/null on closed descriptors 0 to 2, so that no socket is assigned their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _listen() -> int:
    """Return the read end of a pipe.

    Each signal writes one byte to it, the number of the signal.
    """
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGCHLD:
            signal.signal(number, _ignore)
    return read


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the signal is already in the wake-up pipe."""


def _fork() -> int:
    """Fork the supervisor: a subreaper in its own process group, with stop signals blocked.

    Because of the group, Ctrl-C in the terminal reaches only the keeper. INT, TERM and HUP stay
    blocked in the child until it has installed its handlers; until then they stay pending.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*FORWARDED, signal.SIGCHLD))
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid != 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid == 0:
        os.close(signal.set_wakeup_fd(-1))
        os.setpgid(0, 0)
        adopt_orphans()
    return pid


def _fork_again(wakeup: int) -> int | None:
    """Fork as soon as the machine allows it; None if a stop signal arrives before that."""
    refused = False
    while True:
        try:
            return _fork()
        except OSError as error:
            if not refused:
                _say(f"error: no supervisor can be started ({error.strerror}); trying again")
            refused = True
        if select.select([wakeup], [], [], FORK_AGAIN_S)[0] and _requests(wakeup):
            return None


class Messages:
    """The messages of a supervisor, each a line of text.

    `name NAME`, sent with a descriptor: the keeper holds it open until all processes that the
    supervisor started have ended; the next supervisors learn the name. The descriptor may be left
    out. `until MICROSECONDS`: by this time of the boot-time clock, another message must have come,
    or the supervisor is killed.
    """

    def __init__(self, line: socket.socket, names: list[str]) -> None:
        """names: a new name is added to this list."""
        self.held: list[int] = []
        self.until_us: int | None = None
        self._line, self._names, self._text = line, names, b""

    def receive(self) -> bool:
        """Receive what was sent; return False if the supervisor has closed its end."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._line, 4096, 8)
        except ConnectionResetError:  # it died before it read a signal
            return False
        self.held += descriptors
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._take(line.decode())
        return bool(data)

    def wait_s(self) -> float | None:
        """Return how long to wait for a message or signal; None for no limit."""
        if self.until_us is None:
            return None
        return min(max(0.0, (self.until_us - boot_us()) / 1e6), LOOK_S)

    def are_overdue(self) -> bool:
        """Return whether the time of the last `until` has passed; only once."""
        if self.until_us is None or boot_us() < self.until_us:
            return False
        self.until_us = None
        return True

    def _take(self, line: str) -> None:
        word, _, value = line.partition(" ")
        if word == "until":
            self.until_us = int(value)
        elif value not in self._names:
            self._names.append(value)


def boot_us() -> int:
    """Return microseconds since the machine was started, also while it slept."""
    return time.clock_gettime_ns(CLOCK) // 1000


def _watch(
    pid: int,
    line: socket.socket,
    wakeup: int,
    stops: list[int],
    names: list[str],
    kept_limit: int,
) -> tuple[int, list[int]]:
    """Wait for the supervisor's end. Return its exit code and the descriptors to close.

    If its time has passed, it is killed together with its jobs: its own end may take long, such as
    in a debugger. Stop signals that arrive before that are added to `stops`, the supervisor's name
    to `names`.
    """
    messages = Messages(line, names)
    sources: list[int | socket.socket] = [wakeup, line]
    killed = False
    while True:
        wait_s = LONGEST_KILL_PAUSE_S if killed else messages.wait_s()
        ready, _, _ = select.select(sources, [], [], wait_s)
        if line in ready:
            if not messages.receive():
                sources.remove(line)
        elif messages.are_overdue():  # and no later message waits to be received
            killed = True
        if killed:
            kill_descendants(kept_limit)
        if wakeup in ready:
            stops += (numbers := _requests(wakeup))
            _pass_on(line, numbers)
            ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if ended and os.WIFSTOPPED(status):  # by a job, such as `kill -STOP $PPID`
                os.kill(pid, signal.SIGCONT)
            elif ended:
                code = os.waitstatus_to_exitcode(status)
                return LEASE_ENDED if killed else code, messages.held


def _requests(wakeup: int) -> list[int]:
    """Return the stop signals that arrived, sorted.

    A signal repeated within TOGETHER_S counts once.
    """
    try:
        numbers = os.read(wakeup, 4096)
    except BlockingIOError:
        return []
    if not any(number in FORWARDED for number in numbers):
        return []
    time.sleep(TOGETHER_S)
    try:
        numbers += os.read(wakeup, 4096)
    except BlockingIOError:
        pass
    return sorted({*numbers} & {*FORWARDED})


def _pass_on(line: socket.socket, numbers: list[int]) -> None:
    try:
        line.send(bytes(numbers))
    except OSError:
        pass  # the supervisor has just ended


def _how(code: int) -> str:
    if code == LEASE_ENDED:
        return "lost its lease"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed (exit {code})"


def _say(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:
        pass  # stderr is closed
