"""A directory or program on a mount with an unreachable server: only that attempt waits."""

import json
import os
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.dead_mount import MISSING, WithDeadMount
from tests.sampling import first_of

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture
def ctl(tmp_path: Path) -> WithDeadMount:
    return WithDeadMount(tmp_path)


def hanging(ctl: WithDeadMount, kind: str, **options: object) -> str:
    """A job that cannot start while the mount is dead."""
    argv, path = ["tool"], "/usr/bin:/bin"
    cwd = ctl.folder
    match kind:
        case "directory":
            cwd, argv = ctl.dead, ["true"]
        case "directory behind a link":
            cwd, argv = ctl.folder / "link", ["true"]
            cwd.symlink_to(ctl.dead / "data")
        case "program":
            argv = [str(ctl.dead / "tool")]
        case "folder in PATH":
            path = f"/usr/bin:{ctl.dead}:/bin"
        case "program behind a link":
            (ctl.folder / "tool").symlink_to(ctl.dead / "tool")
            argv = ["./tool"]
        case "interpreter":
            script = ctl.folder / "script"
            script.write_text(f"#!{ctl.dead}/python\n")
            script.chmod(0o755)
            argv = ["./script"]
    job = {"argv": argv, "cwd": str(cwd), "grace": "100ms", "max_retries": 0, **options}
    return ctl("enqueue", json.dumps(job), env={"PATH": path}).out.strip()


KINDS = (
    "directory",
    "directory behind a link",
    "program",
    "folder in PATH",
    "program behind a link",
    "interpreter",
)


@pytest.mark.parametrize("kind", first_of(KINDS))
def test_hanging_attempt_times_out_while_other_jobs_run(ctl: WithDeadMount, kind: str) -> None:
    stuck = hanging(ctl, kind, timeout="1s")
    with ctl.worker("--count", "2"):
        ctl.wait_for(stuck, "claimed")
        for command in ("true", "true a", "true; true"):  # without a shell, and with one
            ctl.wait_for(ctl.enqueue(command), "succeeded")
        failed = ctl.wait_for(stuck, "failed")["data"]
    assert failed["reason"] == "timeout"
    assert failed["duration_us"] >= 1_000_000


def test_hanging_attempt_is_cancelled(ctl: WithDeadMount) -> None:
    stuck = hanging(ctl, "directory")
    with ctl.worker():
        ctl.wait_for(stuck, "claimed")
        ctl("cancel", stuck)
        ctl.wait_for(stuck, "cancelled")


def test_worker_with_a_hanging_attempt_can_be_stopped_at_once(ctl: WithDeadMount) -> None:
    stuck = hanging(ctl, "directory")
    with ctl.worker() as worker:
        ctl.wait_for(stuck, "claimed")
        assert "did not answer" not in ctl("worker", "stop", "--now").err
        assert worker.ends().code == 0
    assert ctl.show(stuck)["state"] == "pending"


def test_hanging_attempt_is_lost_with_its_killed_worker(ctl: WithDeadMount) -> None:
    stuck = hanging(ctl, "directory")
    with ctl.worker():
        ctl.wait_for(stuck, "claimed")
        supervisor = ctl("worker", "list", "--json").json["workers"][0]["pid"]
        os.kill(supervisor, SIGKILL)
        ctl.wait_for(stuck, "requeued", why="worker-lost")
        ctl.wait_for(stuck, "claimed", attempt=2)
