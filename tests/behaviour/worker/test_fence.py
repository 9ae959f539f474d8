"""The fence, in a process of its own: it freezes all processes below it, and kills them."""

import subprocess
import sys
from pathlib import Path

from queuectl.worker.keeper import LEASE_ENDED
from tests.shapes import SHAPES, in_folder

JOB_CONTROL = "set -m; sleep 60 & sh -c 'while :; do echo >> ticks; done' & wait"
"""Groups of their own in one session: the kernel continues them if their shell dies."""

PRELUDE = """
import os, signal, socket, subprocess, sys, time
from pathlib import Path
from queuectl.worker.fence import Fence
from queuectl.worker.freezer import is_stopped
from queuectl.worker.keeper import adopt_orphans, boot_us, draw_kept_limit
from tests.shapes import complete, in_folder, sleepers

def jobs():
    return [pid for pid in in_folder(Path.cwd()) if pid != os.getpid()]

def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "too late"
        time.sleep(0.01)

def start(command, shape="plain"):
    subprocess.Popen(["sh", "-c", command], start_new_session=True)
    until(lambda: complete(shape, Path.cwd()))

def arm(us=100_000, slack_us=2_000_000):
    fence = Fence(draw_kept_limit(), slack_us, lambda text: print(text, flush=True), line)
    fence.postpone(boot_us() + us)
    fence.start()
    return fence

def are_frozen():
    return bool(jobs()) and all(map(is_stopped, jobs()))

adopt_orphans()
keeper, line = socket.socketpair()
keeper.setblocking(False)
"""


def fenced(body: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `body` in a subreaper, in this folder."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + body],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def passes(body: str, folder: Path) -> str:
    """Run `body` until it exits by `fence.trip`; return its output."""
    result = fenced(body + "\nfence.trip('the end')\n", folder)
    assert result.returncode == LEASE_ENDED, result.stderr
    assert in_folder(folder) == []
    return result.stdout


def test_at_the_deadline_all_processes_are_frozen_and_go_on_after_a_beat(tmp_path: Path) -> None:
    for name, shape in SHAPES.items():
        body = f"""
start({shape!r}, {name!r})
fence = arm()
until(are_frozen)
time.sleep(0.05)
assert are_frozen() and not fence.is_open()
fence.postpone(boot_us() + 60_000_000)
until(fence.is_open)
assert not any(map(is_stopped, sleepers(Path.cwd())))
assert fence.frozen_us > 50_000
"""
        passes(body, tmp_path)


def test_a_process_that_forks_all_the_time_is_frozen(tmp_path: Path) -> None:
    body = """
start("sleep 60 & while :; do (:); done")
fence = arm()
until(are_frozen)
before = jobs()
time.sleep(0.3)
assert jobs() == before and are_frozen()
"""
    passes(body, tmp_path)


def test_a_process_that_somebody_continues_is_frozen_again(tmp_path: Path) -> None:
    body = """
start("sleep 60")
fence = arm()
until(are_frozen)
for pid in jobs():
    os.kill(pid, signal.SIGCONT)  # it runs from here on, at the latest when this returns
until(are_frozen, 3)
"""
    passes(body, tmp_path)


def test_a_process_that_was_stopped_before_stays_so(tmp_path: Path) -> None:
    body = """
subprocess.Popen(["sleep", "60"])
until(jobs)
os.kill(jobs()[0], signal.SIGSTOP)
until(are_frozen)
fence = arm()
until(lambda: not fence.is_open())
fence.postpone(boot_us() + 60_000_000)
until(fence.is_open)
assert are_frozen()
"""
    passes(body, tmp_path)


def test_a_kept_process_runs_on(tmp_path: Path) -> None:
    body = """
import resource
subprocess.Popen(["sleep", "60"])
until(jobs)
fence = arm(500_000)
resource.prlimit(jobs()[0], 15, (fence._kept_limit, resource.RLIM_INFINITY))
kept = jobs()[0]
until(lambda: not fence.is_open())
time.sleep(0.3)
assert not is_stopped(kept)
os.kill(kept, signal.SIGKILL)
"""
    passes(body, tmp_path)


def test_processes_that_cannot_be_stopped_are_killed(tmp_path: Path) -> None:
    body = """
start("sleep 60")
fence = arm()
fence._freezer.freeze = lambda until_us: False
time.sleep(60)
"""
    result = fenced(body, tmp_path)
    assert result.returncode == LEASE_ENDED, result.stderr
    assert "the server has not confirmed this worker in time" in result.stdout
    assert in_folder(tmp_path) == []


def test_frozen_processes_do_not_run_while_they_are_killed(tmp_path: Path) -> None:
    body = f"""
subprocess.Popen(["bash", "-c", {JOB_CONTROL!r}], start_new_session=True)
until(Path("ticks").exists)
fence = arm()
until(are_frozen)
print(Path("ticks").stat().st_size, flush=True)
"""
    for _ in range(10):
        size = int(passes(body, tmp_path).splitlines()[0])
        ticks = tmp_path / "ticks"
        assert ticks.stat().st_size == size
        ticks.unlink()


def test_the_keeper_learns_that_all_are_frozen_and_then_the_next_deadline(tmp_path: Path) -> None:
    body = """
def told():
    time.sleep(0.05)
    try:
        return [int(line.split()[1]) for line in keeper.recv(4096).decode().splitlines()]
    except BlockingIOError:
        return []

start("sleep 60")
deadline = boot_us() + 200_000
fence = Fence(draw_kept_limit(), 2_000_000, print, line)
fence.postpone(deadline)
assert told() == [deadline + 2_000_000]
freeze = fence._freezer.freeze
fence._freezer.freeze = lambda until_us: time.sleep(0.3) or freeze(until_us)
fence.start()
time.sleep(0.3)
assert told() == []
until(are_frozen)
time.sleep(0.6)
(until_us,) = told()
assert 8_000_000 < until_us - boot_us() < 10_000_000
fence._freezer.freeze = freeze
thaw, before = fence._freezer.thaw, []
fence._freezer.thaw = lambda may_go_on: before.extend(told()) or thaw(may_go_on)
deadline = boot_us() + 60_000_000
fence.postpone(deadline)
until(fence.is_open)
assert before[-1] == deadline + 2_000_000
assert told() == []
"""
    passes(body, tmp_path)


def test_a_launch_in_progress_is_frozen_as_well(tmp_path: Path) -> None:
    body = """
start("sleep 60")
fence = arm()
with fence.passage():
    assert fence.is_open()
    until(lambda: not fence.is_open())
    time.sleep(0.2)
    while True:
        try:
            keeper.recv(4096)
        except BlockingIOError:
            break
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    until(lambda: len(sleepers(Path.cwd())) == 2)
    time.sleep(0.2)
    try:
        raise SystemExit(f"confirmed: {keeper.recv(4096)}")
    except BlockingIOError:
        pass
until(are_frozen)
"""
    passes(body, tmp_path)


def test_a_thaw_that_takes_longer_than_the_lease_ends_frozen(tmp_path: Path) -> None:
    body = """
for _ in range(3):
    subprocess.Popen(["sleep", "60"], start_new_session=True)
until(lambda: len(jobs()) == 3)
fence = arm()
until(are_frozen)
from queuectl.worker import freezer
send, slow = freezer._send, []
def slowly(pid, number):
    if number == signal.SIGCONT:
        slow.append(pid)
        time.sleep(0.2)
    return send(pid, number)
freezer._send = slowly
fence.postpone(boot_us() + 300_000)
until(lambda: len(slow) == 2)
until(are_frozen)
assert len(slow) == 2 and not fence.is_open()
freezer._send = send
fence.postpone(boot_us() + 60_000_000)
until(fence.is_open)
assert not any(map(is_stopped, jobs()))
"""
    passes(body, tmp_path)


def test_a_freeze_is_reported_when_it_is_complete(tmp_path: Path) -> None:
    body = """
from queuectl.worker.server import Server
start("sleep 60")
fence = Fence(draw_kept_limit(), 2_000_000, print, line)
server = Server(None, fence)
freeze, may_freeze = fence._freezer.freeze, []
fence._freezer.freeze = lambda until_us: until(lambda: may_freeze) or freeze(until_us)
seen = []
fence.changed = lambda: seen.append((server.note_freeze(), are_frozen(), server.note_freeze()))
fence.postpone(boot_us())
fence.start()
until(lambda: not fence.is_open())
print(server.note_freeze(), flush=True)
may_freeze.append(True)
until(lambda: seen)
print(*seen[0], flush=True)
"""
    assert passes(body, tmp_path).splitlines()[:2] == ["False", "True True False"]


def test_a_postponed_deadline_is_kept(tmp_path: Path) -> None:
    body = """
fence = arm(300_000)
fence.postpone(boot_us() + 60_000_000)
time.sleep(0.6)
assert fence.is_open() and fence.frozen_us == 0
"""
    passes(body, tmp_path)


def test_a_disarmed_fence_does_nothing(tmp_path: Path) -> None:
    body = """
start("sleep 60")
fence = arm(300_000)
fence.disarm()
time.sleep(0.6)
assert not any(map(is_stopped, jobs()))
"""
    passes(body, tmp_path)


def test_the_loop_is_held_once_the_jobs_were_killed(tmp_path: Path) -> None:
    body = """
import threading
fence = arm(60_000_000)
child = subprocess.Popen(["sleep", "60"])
threading.Timer(0.2, lambda: fence.trip("the end")).start()
while child.poll() is None:
    pass
fence.hold()
print("recorded a failure", flush=True)
"""
    assert "recorded" not in passes(body, tmp_path)


def test_a_keeper_that_does_not_read_blocks_nothing(tmp_path: Path) -> None:
    body = """
fence = arm(60_000_000)
for _ in range(5_000):
    fence.postpone(boot_us() + 60_000_000)
"""
    passes(body, tmp_path)


def test_the_jobs_are_killed_although_nobody_reads_the_messages(tmp_path: Path) -> None:
    body = """
start("sleep 60")
fence = Fence(draw_kept_limit(), 1, lambda text: print(len(jobs()), "left", flush=True), line)
"""
    assert passes(body, tmp_path) == "0 left\n"
