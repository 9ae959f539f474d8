"""A process that its worker cannot end: the worker, `show` and `doctor` name its owner."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from subprocess import DEVNULL

import pytest

from queuectl.worker.process_sweep import alive, name
from tests.ctl import PROGRAM, Ctl, Running, until

WITHOUT_RIGHT = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill")
"""A root that may end only its own processes, as a user's worker may not end those of sudo."""
AS_ANOTHER = "setpriv --reuid 65534 --clear-groups"


def _missing() -> str | None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "needs root and setpriv"
    probe = [*WITHOUT_RIGHT, "sh", "-c", f"{AS_ANOTHER} sleep 5 & sleep 0.2; kill $!"]
    # No pipes: a probe that may not be killed would keep them open until it ends.
    refused = subprocess.run(probe, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode != 0
    return None if refused else "a root without CAP_KILL may kill here"


MISSING = _missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Weak(Ctl):
    """The program, without the right to signal other users' processes."""

    def weakly(self, *words: str) -> str:
        """What a finished command printed."""
        argv = [*WITHOUT_RIGHT, *PROGRAM, *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self.env, cwd=self.folder, check=False
        )
        return done.stdout + done.stderr

    def weak_worker(self) -> Running:
        """A worker, running; the test ends it."""
        return self._start([*WITHOUT_RIGHT, *PROGRAM, "worker", "start"], {})


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Weak]:
    weak = Weak(tmp_path)
    yield weak
    if (tmp_path / "pid").exists() and alive(pid := stranger(weak)):
        os.kill(pid, SIGKILL)


def stranger(ctl: Ctl) -> int:
    """The pid of the other user's process."""
    file = ctl.folder / "pid"
    return int(until(lambda: (file.exists() and file.read_text().strip()) or None, "the process"))


def test_process_of_another_user_is_named_with_the_command_to_end_it(ctl: Weak) -> None:
    command = f"{AS_ANOTHER} sleep 600 & echo $! > pid; wait"
    job = ctl.enqueue(command, grace="100ms", cwd=str(ctl.folder))
    worker = ctl.weak_worker()
    try:
        pid = stranger(ctl)
        until(lambda: name(pid) == "sleep" or None, "the other user's process")
        ctl("cancel", job)
        words = f"process {pid} (sleep) belongs to nobody; to end it: sudo kill {pid}"
        worker.says(f"job {job}: {words}")
        assert f"stuck\t{words}" in ctl.weakly("show", job)
        assert f"unendable\t{words}\tsudo kill {pid}" in ctl.weakly("doctor")
        os.kill(pid, SIGKILL)
        ctl.wait_for(job, "cancelled")
        assert "stuck" not in ctl.weakly("show", job)
    finally:
        worker.end()
