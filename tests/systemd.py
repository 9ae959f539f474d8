"""A real `systemd --user`, in a mount namespace of its own; the machine need not run systemd.

It is only started where nobody is harmed: as root, in control groups that are made for it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ctl import PROGRAM, until

SYSTEMD = Path("/usr/lib/systemd/systemd")
HIERARCHIES = Path("/sys/fs/cgroup")

INIT = """
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system {runtime}
chmod 700 {runtime}
for procs in {procs}; do echo $$ > $procs; done
exec {systemd} --user --log-target=console --log-level=info
"""


def missing_for_systemd() -> str | None:
    """Return what this machine lacks for a systemd; None if nothing."""
    if os.geteuid() != 0:
        return "a systemd for the tests (needs root)"
    for program in ("unshare", "nsenter", "systemctl"):
        if shutil.which(program) is None:
            return f"the program {program}"
    if not SYSTEMD.exists():
        return "systemd"
    return None if _hierarchies() else "control groups that may be changed"


class Systemd:
    """A manager of user services; commands are run where it is theirs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.runtime = Path("/run/user/0")
        self._groups = [parent / f"queuectl-test-{os.getpid()}" for parent in _hierarchies()]
        for group in self._groups:
            group.mkdir()
        script = INIT.format(
            runtime=self.runtime,
            procs=" ".join(str(group / "cgroup.procs") for group in self._groups),
            systemd=SYSTEMD,
        )
        self._env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        self.log = folder / "systemd.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script],
                env=self._env,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        until(lambda: self._answers() or None, "systemd")

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Run a command, and return what it prints."""
        done = self._run(*words, env=env)
        assert done.returncode == 0, (words, done)
        return done.stdout

    def queuectl(self, *words: str) -> str:
        """Run `queuectl`, and return what it prints."""
        return self.run(*PROGRAM, *words)

    def properties(self, unit: str) -> dict[str, str]:
        """Return the properties of a service."""
        shown = self.run("systemctl", "--user", "show", unit).splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in shown)}

    def close(self) -> None:
        """End it, and all that it has started."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for group in self._groups:
            _remove(group)

    def _answers(self) -> bool:
        return self._run("systemctl", "--user", "show", "--property=Version").returncode == 0

    def _run(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        prefix = ("nsenter", f"--target={self._process.pid}", "--mount", f"--wd={self._folder}")
        return subprocess.run(
            [*prefix, *words],
            env={**self._env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextmanager
def systemd(folder: Path) -> Iterator[Systemd]:
    """Run a systemd during the block; its units are in `folder`."""
    manager = Systemd(folder)
    try:
        yield manager
    finally:
        manager.close()


def _hierarchies() -> list[Path]:
    """Return the folders of the control groups that systemd uses: of version 1, 2 or both."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    known = [
        HIERARCHIES / name / path.strip("/")
        for _, controllers, path in lines
        if controllers in ("", "name=systemd")
        for name in (("unified", "") if not controllers else ("systemd",))
    ]
    return [path for path in known if (path / "cgroup.procs").exists() and os.access(path, os.W_OK)]


def _remove(group: Path) -> None:
    """Kill what is left in a control group and below it, and remove it."""
    for folder in [*sorted(group.rglob("*/"), reverse=True), group]:
        for _ in range(100):
            pids = (folder / "cgroup.procs").read_text().split()
            if not pids:
                break
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.02)
        folder.rmdir()
