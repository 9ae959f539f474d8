"""Running shell scripts that mount file systems, in a mount namespace that ends with them."""

import subprocess

import pytest

from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.machine import MOUNT_NAMESPACE


def by_shell(ctl: Ctl, script: str, *before: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell script in which `"$@"` is `queuectl`. before: a command that runs the shell."""
    return subprocess.run(
        [*before, "sh", "-c", script, "sh", *PROGRAM],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )


def with_mounts(ctl: Ctl, script: str) -> "subprocess.CompletedProcess[str]":
    """Do the same in a new mount namespace. Skips the test if this user cannot mount anything."""
    if MOUNT_NAMESPACE is None:
        pytest.skip("no file system can be mounted in a namespace here")
    return by_shell(ctl, script, *MOUNT_NAMESPACE)
