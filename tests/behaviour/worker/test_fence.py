"""The fence, in a process of its own: it ends all children, and holds the loop."""

import subprocess
import sys
from pathlib import Path
from textwrap import indent

from queuectl.worker.keeper import LEASE_ENDED
from tests.shapes import SHAPES, in_folder


def fenced(body: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `body` in a subreaper with a fence that has a deadline in 0.3 s."""
    program = f"""
import subprocess, sys, time
from queuectl.worker.fence import Fence
from queuectl.worker.keeper import adopt_orphans, boot_us, draw_kept_limit
adopt_orphans()
fence = Fence(draw_kept_limit(), slack_us=10_000, say=lambda text: print(text, flush=True))
fence.postpone(boot_us() + 300_000)
fence.start()
if True:
{indent(body, "    ")}
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_at_the_deadline_all_children_are_killed_and_the_process_ends(tmp_path: Path) -> None:
    for shape in SHAPES.values():
        body = f"subprocess.Popen(['sh', '-c', {shape!r}])\ntime.sleep(60)"
        result = fenced(body, tmp_path)
        assert result.returncode == LEASE_ENDED
        assert "the server has not confirmed this worker in time" in result.stdout
        assert in_folder(tmp_path) == []


def test_the_loop_is_held_once_the_fence_has_acted(tmp_path: Path) -> None:
    body = """
child = subprocess.Popen(['sleep', '60'])
while True:
    if child.poll() is not None:
        fence.hold()
        print('recorded a failure', flush=True)
        time.sleep(60)
"""
    for _ in range(3):
        result = fenced(body, tmp_path)
        assert result.returncode == LEASE_ENDED
        assert "recorded" not in result.stdout


def test_a_late_loop_ends_the_worker_itself(tmp_path: Path) -> None:
    result = fenced("fence.disarm()\ntime.sleep(0.5)\nfence.hold()\nprint('went on')", tmp_path)
    assert result.returncode == LEASE_ENDED
    assert "went on" not in result.stdout


def test_a_postponed_deadline_is_kept(tmp_path: Path) -> None:
    body = "fence.postpone(boot_us() + 60_000_000)\ntime.sleep(0.6)\nfence.hold()\nprint('on')"
    assert fenced(body, tmp_path).stdout == "on\n"


def test_a_disarmed_fence_does_nothing(tmp_path: Path) -> None:
    assert fenced("fence.disarm()\ntime.sleep(0.6)\nprint('on')", tmp_path).stdout == "on\n"
