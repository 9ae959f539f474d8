"""The process above the supervisor: outlives it, ends what it leaves behind, only then lets go.

The process that a person starts becomes the keeper. It forks the supervisor before there are
threads, locks or an open database, and takes no part in running jobs. It uses nothing of ours, so
that nothing of ours can break it.

On Linux both are child subreapers, so that no orphan of a job escapes them. macOS has no such
thing: there the orphans of a killed supervisor go to launchd, and only the next worker's look at
the claims sets things right.
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
"""Exit codes by which a supervisor says that it is done; any other end is an accident."""
TOGETHER_S = 0.01
"""Signals within this time are one request: `timeout` signals its child, then the whole group."""
TRY_AGAIN_S = 1.0
"""Between two tries to fork."""
RESTARTS, WITHIN_S = 3, 60.0
PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_RTTIME = 15
"""As in process_sweep.py: this file uses nothing of ours."""
KEPT = 2**62 + 2**61
"""Soft RLIMIT_RTTIME of processes that a finished job left running and that are to stay."""


def keep(supervise: Callable[[socket.socket, tuple[str, ...]], int]) -> int:
    """Run `supervise` in a child, and again when it dies by accident.

    Returns in both processes: in the supervisor with what `supervise` returned, so that its errors
    are told as any command's are; in the keeper with the supervisor's exit code. What `supervise`
    is given is its line to the keeper, and the names of the supervisors before it. A descriptor
    sent along the line, with the supervisor's name as text, is held until nothing that the
    supervisor started is left; each byte that comes along it is the number of a stop signal that
    the keeper was sent, to this supervisor or to one before it; end of file on it means that the
    other one is dead.
    """
    _open_standard_descriptors()
    adopt_orphans()
    wakeup = _listen()
    restarts: deque[float] = deque(maxlen=RESTARTS)
    stops: list[int] = []
    names: list[str] = []
    while True:
        ours, theirs = socket.socketpair()
        _pass_on(ours, stops)  # before the fork: the supervisor reads them before it takes a job
        pid = _fork_again(wakeup) if restarts else _fork()
        if pid is None:
            return 1
        if pid == 0:
            ours.close()
            os.close(wakeup)
            return supervise(theirs, tuple(names))
        theirs.close()
        code, held = _watch(pid, ours, wakeup, stops, names)
        end_children()
        for descriptor in held:
            os.close(descriptor)
        ours.close()
        if code in DELIBERATE:
            return code
        if len(restarts) == RESTARTS and time.monotonic() - restarts[0] < WITHIN_S:
            _say(f"error: the supervisor {_how(code)}, the fourth time within a minute; giving up")
            return 1
        restarts.append(time.monotonic())
        stops += _requests(wakeup)
        why = " to requeue them" if stops else ""
        _say(f"the supervisor {_how(code)}; its jobs were ended; starting it again{why}")


def adopt_orphans() -> None:
    """Make this process the new parent of whatever its descendants orphan (Linux)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def children() -> set[int]:
    """Pids of this process's children, ended and not yet reaped ones too (Linux; else none).

    Orphans come to the main thread, which also forks; it is the one whose id is the process's.
    """
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:
            return set(map(int, file.read().split()))
    except FileNotFoundError:
        return set()


def is_kept(pid: int) -> bool:
    """Whether the process outlives its job and its worker: see `background` of a job."""
    try:
        return resource.prlimit(pid, _RLIMIT_RTTIME)[0] == KEPT
    except (AttributeError, OSError):  # macOS; gone, or another user's
        return False


def end_children() -> None:
    """Kill and reap until nothing below this process is left; orphans come to it as they appear.

    Processes that are to stay are neither ended nor waited for.
    """
    while True:
        doomed = [pid for pid in children() if not is_kept(pid)]
        if not doomed and sys.platform == "linux":
            return
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pass  # it took on another user's rights; all that is left is to wait for it
        try:
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _open_standard_descriptors() -> None:
    """Where 0, 1 or 2 came closed, put /dev/null there, lest a socket take the number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _listen() -> int:
    """The read end of a pipe in which each arriving signal is a byte."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGCHLD:
            signal.signal(number, _noted)
    return read


def _noted(number: int, frame: object) -> None:
    """The wake-up pipe has it already."""


def _fork() -> int:
    """Fork the supervisor: a subreaper in a process group of its own, deaf until it listens.

    The terminal's Ctrl-C thus reaches the keeper alone. INT, TERM and HUP stay blocked in the
    child, so that one that comes before it listens is kept for it and does not kill it.
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
    """Fork once the machine allows it; None if a stop is asked for meanwhile."""
    refused = False
    while True:
        try:
            return _fork()
        except OSError as error:
            if not refused:
                _say(f"error: no supervisor can be started ({error.strerror}); trying again")
            refused = True
        if select.select([wakeup], [], [], TRY_AGAIN_S)[0] and _requests(wakeup):
            return None


def _watch(
    pid: int, line: socket.socket, wakeup: int, stops: list[int], names: list[str]
) -> tuple[int, list[int]]:
    """Wait for the supervisor's end. Returns its exit code and the descriptors to let go.

    Stop signals that come meanwhile are added to `stops`, the supervisor's name to `names`.
    """
    held: list[int] = []
    sources: list[int | socket.socket] = [wakeup, line]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if line in ready:
            descriptors = _descriptors_from(line, names)
            if descriptors is None:
                sources.remove(line)
            else:
                held += descriptors
        if wakeup in ready:
            stops += (numbers := _requests(wakeup))
            _pass_on(line, numbers)
            ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if ended and os.WIFSTOPPED(status):  # by a job, such as `kill -STOP $PPID`
                os.kill(pid, signal.SIGCONT)
            elif ended:
                return os.waitstatus_to_exitcode(status), held


def _descriptors_from(line: socket.socket, names: list[str]) -> list[int] | None:
    """The descriptors that the supervisor has sent; None once it has closed its end.

    The name that it sent along with them is added to `names`.
    """
    try:
        text, descriptors, _, _ = socket.recv_fds(line, 64, 8)
    except ConnectionResetError:  # it died with a signal of ours unread
        return None
    names += [name for name in text.decode().split() if name not in names]
    return descriptors if text else None


def _requests(wakeup: int) -> list[int]:
    """The stop signals that have come, each once that came together."""
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
        pass  # it has just ended


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed (exit {code})"


def _say(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:
        pass  # nobody is left to read it
