"""The keeper, with real processes and small supervisors."""

import ctypes
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM
from textwrap import indent

import pytest

from queuectl.worker.process_sweep import alive
from tests.ctl import DEADLINE_S, Running, until
from tests.shapes import SHAPES, complete, in_folder


@contextmanager
def keeper(body: str, **options: object) -> Iterator[Running]:
    """Run a keeper whose supervisor runs `body`; `say(...)` prints, `wait()` waits forever."""
    program = f"""
import fcntl, os, signal, socket, subprocess, sys
from queuectl.worker.keeper import keep
def say(*words): print(*words, flush=True)
def wait():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (1, 2, 15))
    while True: signal.pause()
def supervise(line, before, kept_limit):
{indent(body, "    ")}
sys.exit(keep(supervise))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield Running(process)
    finally:
        kill_all(process)


def kill_all(process: "subprocess.Popen[str]") -> None:
    """Kill the keeper and its descendants. Stop it first, so that it starts no supervisor."""
    if process.poll() is None:
        process.send_signal(SIGSTOP)
        below = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in map(int, below):
            os.kill(pid, SIGKILL)
        process.kill()
    process.wait()


def pid_printed(running: Running, word: str) -> int:
    return int(running.says(f"{word} ").split()[1])


@pytest.mark.parametrize("code", [0, 3, 130])
def test_deliberate_exit_code_is_passed_on(code: int) -> None:
    with keeper(f"return {code}") as running:
        assert running.ends().code == code
        assert running.err == []


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
def test_stop_signals_are_passed_on_one_by_one(number: int) -> None:
    body = "say('up')\nwhile True: say('got', *line.recv(1))"
    with keeper(body) as running:
        running.says("up")
        running.kill(number)
        running.says(f"got {number}")
        running.kill(number)
        until(lambda: running.out.count(f"got {number}") == 2 or None, "the second signal")


def test_signal_that_was_ignored_from_the_start_stays_ignored() -> None:
    body = "say('up', signal.getsignal(1) == signal.SIG_IGN)\nwait()"
    with keeper(body, preexec_fn=lambda: __import__("signal").signal(1, 1)) as running:
        running.says("up True")


def test_supervisor_has_its_own_process_group() -> None:
    with keeper(
        "say('group', os.getpgid(0) == os.getpid() != os.getpgid(os.getppid()))"
    ) as running:
        running.says("group True")


@pytest.mark.parametrize("shape", SHAPES)
def test_processes_of_a_killed_supervisor_are_ended(shape: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = f"""
if os.path.exists({str(seen)!r}):
    say('again', len(os.listdir('/proc/self/task')))
    return 0
open({str(seen)!r}, 'w').close()
subprocess.Popen(['env', '-i', 'sh', '-c', {SHAPES[shape]!r}], cwd={str(tmp_path)!r})
say('supervisor', os.getpid())
wait()
"""
    with keeper(body) as running:
        supervisor = pid_printed(running, "supervisor")
        until(lambda: complete(shape, tmp_path), "the whole job")
        os.kill(supervisor, SIGKILL)
        running.says("again")
        assert in_folder(tmp_path) == []
        assert running.ends().code == 0


def test_keeper_holds_the_lock_until_all_processes_have_ended(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    body = f"""
lock = os.open({str(lock)!r}, os.O_CREAT | os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
socket.send_fds(line, [b'name lock\\n'], [lock])
os.close(lock)
say('supervisor', os.getpid())
if os.fork() == 0: os.execvp('sleep', ['sleep', '60'])
wait()
"""
    with keeper(body) as running, lock.open("w") as mine:
        first = pid_printed(running, "supervisor")
        with pytest.raises(BlockingIOError):
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(first, SIGKILL)
        # The new supervisor takes the same lock, so it was released in between.
        until(lambda: len(running.out) == 2 or None, "a new supervisor")
        assert running.out[0] != running.out[1]


def test_socket_to_the_keeper_is_closed_when_the_keeper_dies() -> None:
    with keeper("say('supervisor', os.getpid())\nline.recv(1)\nos._exit(0)") as running:
        supervisor = pid_printed(running, "supervisor")
        running.kill(SIGKILL)
        until(lambda: not alive(supervisor) or None, "the supervisor sees the end of its line")


def test_keeper_gives_up_after_the_fourth_crash_within_a_minute() -> None:
    with keeper("say('life')\nos.kill(os.getpid(), signal.SIGSEGV)") as running:
        result = running.ends()
        assert result.code == 1
        assert running.out == ["life"] * 4
        assert SIGSEGV.name in running.err[0]
        assert running.err[-1] == (
            "error: the supervisor was killed by SIGSEGV, the fourth time within a minute;"
            " giving up. Its jobs were ended; the next worker requeues them: queuectl worker start"
        )


def test_stop_signals_are_passed_to_the_next_supervisor_too(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = f"""
if not os.path.exists({str(seen)!r}):
    socket.send_fds(line, [b'name first\\n'], [0])
    say('up')
    for count in (1, 2): say('got', count, *line.recv(1))
    open({str(seen)!r}, 'w').close()
    os.abort()
say('asked', *line.recv(10), *before)
"""
    with keeper(body) as running:
        running.says("up")
        for count in (1, 2):
            running.kill(SIGINT)
            running.says(f"got {count} 2")
        running.says("asked 2 2 first")
        assert running.ends().code == 0


NAMES_A_TIME = """
from queuectl.worker.keeper import boot_us
def until(seconds): line.send(b'until %d\\n' % (boot_us() + seconds * 1_000_000))
if before:
    say('again', *before)
    return 0
socket.send_fds(line, [b'name first\\n'], [0])
until({seconds})
{then}
"""


def test_supervisor_that_hangs_after_the_time_that_it_has_named_is_killed() -> None:
    body = NAMES_A_TIME.format(
        seconds=0.3, then="os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000')\nwait()"
    )
    with keeper(body) as running:
        running.says("again first")
        assert running.ends().err == (
            "the supervisor lost its lease; its jobs were ended; starting it again"
        )


def test_supervisor_that_names_later_times_goes_on() -> None:
    then = """
import time
for _ in range(20):
    time.sleep(0.05)
    until(0.4)
"""
    body = NAMES_A_TIME.format(seconds=0.4, then=then)
    with keeper(body) as running:
        assert running.ends().code == 0
        assert running.err == []


def test_messages_that_arrive_in_pieces_or_together_are_understood() -> None:
    body = """
import time
for piece in (b'na', b'me a', b'\\nname b\\nun', b'til 99999999999999\\nname c\\n'):
    line.send(piece)
    time.sleep(0.02)
if before:
    say('before', *before)
    return 0
os.abort()
"""
    with keeper(body) as running:
        running.says("before a b c")


def test_a_lost_lease_is_not_a_crash() -> None:
    body = """
from queuectl.worker.keeper import LEASE_ENDED
line.send(b'name %d\\n' % len(before))
say('life', len(before))
return LEASE_ENDED if len(before) < 5 else 0
"""
    with keeper(body) as running:
        assert running.ends().code == 0
        assert running.out[-1] == "life 5"


def test_error_in_the_supervisor_is_reported_once_and_it_is_restarted() -> None:
    with keeper("raise SystemError('broken')") as running:
        result = running.ends()
        assert result.code == 1
        assert result.err.count("Traceback") == 4


def test_closed_standard_descriptors_do_no_harm() -> None:
    body = "os._exit(0 if min(line.fileno(), os.dup(0)) > 2 else 9)"
    with keeper(body, preexec_fn=lambda: os.closerange(0, 3)) as running:
        assert running.process.wait(DEADLINE_S) == 0


PTRACE_SEIZE = 0x4206
"""Source: linux/ptrace.h."""


def trace(pid: int) -> None:
    """Trace a process as a debugger does: after its end, its parent cannot reap it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        pytest.skip(f"this machine lets no process be traced: {os.strerror(ctypes.get_errno())}")


def test_jobs_end_although_a_debugger_holds_the_overdue_supervisor(tmp_path: Path) -> None:
    go = tmp_path / "go"
    body = f"""
import time
subprocess.Popen(["setsid", "sleep", "1000"], cwd={str(tmp_path)!r})
say("supervisor", os.getpid())
while not os.path.exists({str(go)!r}): time.sleep(0.01)
line.send(b"until 1\\n")
wait()
"""
    with keeper(body) as running:
        supervisor = pid_printed(running, "supervisor")
        trace(supervisor)
        go.touch()
        until(lambda: not in_folder(tmp_path) or None, "the end of the job")
        os.waitpid(supervisor, 0)  # as its tracer; only now its keeper can reap it
        running.says("lost its lease")


def test_jobs_below_a_process_that_a_debugger_holds_are_killed(tmp_path: Path) -> None:
    body = f"""
child = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], cwd={str(tmp_path)!r})
say("child", child.pid)
while True:
    time.sleep(0.01)
    if os.path.exists({str(tmp_path / "go")!r}): os._exit(9)
"""
    with keeper(body.replace("child =", "import time\nchild =")) as running:
        child = pid_printed(running, "child")
        until(lambda: len(in_folder(tmp_path)) == 2 or None, "the job")
        trace(child)
        (tmp_path / "go").touch()
        until(lambda: {*in_folder(tmp_path)} <= {child} or None, "the end of the process below")
        os.waitpid(child, 0)
        running.says("starting it again")
