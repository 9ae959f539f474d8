"""Mounts of a test's own, in a mount namespace that ends with the command it was made for."""

import os
import subprocess
from functools import cache

import pytest

from tests.ctl import PROGRAM, Ctl


@cache
def _unshare() -> tuple[str, ...]:
    """What gives a command mounts of its own; nothing if this user cannot have them."""
    as_root = () if os.geteuid() == 0 else ("--map-root-user",)
    unshare = ("unshare", "--mount", *as_root)
    probe = (*unshare, "sh", "-c", "mount -t tmpfs tmpfs /mnt")
    try:
        may = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        may = False
    return unshare if may else ()


def by_shell(ctl: Ctl, script: str, *before: str) -> "subprocess.CompletedProcess[str]":
    """What a shell script does in which `"$@"` is the program. before: what runs the shell."""
    return subprocess.run(
        [*before, "sh", "-c", script, "sh", *PROGRAM],
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def with_mounts(ctl: Ctl, script: str) -> "subprocess.CompletedProcess[str]":
    """The same with mounts of its own. Skips the test if this user cannot mount anything."""
    if not (unshare := _unshare()):
        pytest.skip("this user cannot mount anything")
    return by_shell(ctl, script, *unshare)
