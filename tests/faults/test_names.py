"""A process that names or removes files is killed at each of these calls, and is run again."""

import os
import re
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from eventstore.store import Head
from queuectl.api import Queue
from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.machine import needs_strace
from tests.torture.syscalls_judged import KILLED

pytestmark = [needs_strace, pytest.mark.proof]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The folder of a queue with a short and a long output."""
    home = tmp_path / "original"
    home.mkdir()
    ctl = Ctl(home)
    ctl("enqueue", "--", "echo short")
    ctl("enqueue", "--", "seq 100000")
    ctl.drain()
    return home


@pytest.mark.parametrize("call", ["rename", "renameat2", "link", "unlink", "unlinkat", "mkdir"])
def test_migration_killed_at_a_name_goes_on(original: Path, call: str) -> None:
    with Queue(original / "queue.db") as queue:
        last = queue.store.head()
    for number in count(1):
        home = original.parent / f"{number}"
        shutil.copytree(original, home)
        done = migrated(home, "strace", "-qq", "-e", f"inject={call}:signal=SIGKILL:when={number}")
        if done.returncode != KILLED:
            break
        again = migrated(home)
        assert again.returncode == 0, f"after {call} {number}: {again.stderr}"
        check(home, last)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert number > 1, f"a migration makes no call of {call}"


def migrated(home: Path, *traced: str) -> "subprocess.CompletedProcess[str]":
    """Move the queue of a folder to the file `new.db`."""
    options = ("-o", "/dev/null") if traced else ()
    return subprocess.run(
        [*traced, *options, *PROGRAM, "migrate", str(home / "queue.db"), str(home / "new.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def check(home: Path, last: Head) -> None:
    """The new queue has all that the old one had.

    At most a file that was not complete is left: `doctor` names those for every queue.
    """
    ctl = Ctl(home)
    new = str(home / "new.db")
    ctl("verify", "--outputs", "--expect", f"{last.position}:{last.hash}", "--db", new)
    assert ctl("logs", "2", "--db", new).out.endswith("\n100000\n")
    names = [path.name for path in home.iterdir() if "migrating" in path.name]
    assert [name for name in names if not re.search(r"\.[0-9a-f]{12}\.new", name)] == []
