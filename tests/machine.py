"""The features of this machine that tests need, probed once; tests without them are skipped."""

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
    """Return True if the command can be run here and exits with 0."""
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _mount_namespace() -> tuple[str, ...] | None:
    """Return a command prefix that creates a mount namespace; None if that is not permitted."""
    prefix = ("unshare", "--mount", *(() if ROOT else ("--map-root-user",)))
    with TemporaryDirectory() as folder:
        mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        return prefix if _runs(*prefix, *mount) else None


def _cgroup() -> Path | None:
    """Return a control group (version 2) in which groups with limits can be created; or None."""
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
"""The library to preload to change the wall clock of a real program."""
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
    """Return the command line with its own mount namespace. For tests marked `needs_mounts`."""
    assert MOUNT_NAMESPACE is not None, "mark this test with needs_mounts"
    return [*MOUNT_NAMESPACE, *argv]


def missing() -> Sequence[str]:
    """Return one line per missing feature, with the tests that are skipped because of it."""
    lacks = {
        "Chromium: tests/browser is left out": CHROMIUM is None,
        "strace: tests that let system calls fail are left out": STRACE is None,
        "libfaketime: tests/faults/test_time.py is left out": FAKETIME is None,
        "mount namespaces: tests of full and read-only disks are left out": MOUNT_NAMESPACE is None,
        "another user: tests of foreign files and rights are left out": not BECOMES_OTHER_USER,
        "a writable control group: tests of its limits are left out": CGROUP is None,
    }
    return [line for line, lacking in lacks.items() if lacking]
