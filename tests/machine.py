"""What this machine offers to tests, probed once: a test that needs what is missing is skipped."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = os.geteuid() == 0
OTHER_USER = 65_534
"""A user id that owns nothing. The kernel does not need it in the user database."""


def _runs(*argv: str) -> bool:
    """Whether a command can be run here and exits 0."""
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mount_namespace() -> tuple[str, ...] | None:
    """The beginning of a command line with mounts of its own; None if none may be made here."""
    prefix = ("unshare", "--mount", *(() if ROOT else ("--map-root-user",)))
    with TemporaryDirectory() as folder:
        mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        return prefix if _runs(*prefix, *mount) else None


def _cgroup() -> Path | None:
    """A control group (version 2) below which groups can be made that limit processes."""
    try:
        line = next(
            line for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"
        )
        own = Path("/sys/fs/cgroup") / line[3:].strip("/")
        probe = own / f"queuectl-probe-{os.getpid()}"
        probe.mkdir()
        limits = (probe / "pids.max").exists()
        probe.rmdir()
    except (OSError, StopIteration):
        return None
    return own if limits else None


MOUNT_NAMESPACE = _mount_namespace()
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
STRACE = shutil.which("strace") if _runs("strace", "-o", "/dev/null", "true") else None
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""The library to preload, which lets a real program's wall clock step."""
CGROUP = _cgroup()
BECOMES_OTHER_USER = ROOT and _runs("setpriv", f"--reuid={OTHER_USER}", "--clear-groups", "true")

needs_mounts = pytest.mark.skipif(
    MOUNT_NAMESPACE is None, reason="no file system can be mounted in a namespace here"
)
needs_another_user = pytest.mark.skipif(
    not BECOMES_OTHER_USER, reason="only root can become another user"
)
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not there, or may not trace")
needs_cgroup = pytest.mark.skipif(CGROUP is None, reason="no control group can be made here")


def with_mounts(*argv: str) -> list[str]:
    """The command line with mounts that nobody else sees. Only for tests marked `needs_mounts`."""
    assert MOUNT_NAMESPACE is not None, "mark this test with needs_mounts"
    return [*MOUNT_NAMESPACE, *argv]


def missing() -> Sequence[str]:
    """One line for each thing that is missing here, with what is left out for it."""
    lacks = {
        "Chromium: tests/browser is left out": CHROMIUM is None,
        "strace: tests that let system calls fail are left out": STRACE is None,
        "libfaketime: tests/faults/test_time.py is left out": FAKETIME is None,
        "mount namespaces: tests of full and read-only disks are left out": MOUNT_NAMESPACE is None,
        "another user: tests of foreign files and rights are left out": not BECOMES_OTHER_USER,
        "a writable control group: tests of its limits are left out": CGROUP is None,
    }
    return [line for line, lacking in lacks.items() if lacking]
