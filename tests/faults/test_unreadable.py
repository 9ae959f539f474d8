"""A disk that fails to read the queue file is reported as that: not as damage, and in one line."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.ctl import DEADLINE_S, PROGRAM, Ctl
from tests.machine import needs_strace
from tests.sampling import first_of

pytestmark = needs_strace


@pytest.fixture
def worked(ctl: Ctl) -> Ctl:
    """A queue of many pages, and a backup of it."""
    lines = '{"command": "true"}\n' * 100
    ctl("enqueue", "--file", "-", stdin=lines)
    ctl("backup", "monday.db")
    return ctl


def failing(ctl: Ctl, calls: str, when: str, *words: str, file: str = "") -> tuple[int, str]:
    """Exit code and stderr of a command whose calls to `file` (in its folder) fail with EIO."""
    traced = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}"]
    if file:
        traced += ["-P", str(ctl.folder / file)]
    done = subprocess.run(
        [*traced, "-e", f"inject={calls}:error=EIO:when={when}", *PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        cwd=ctl.folder,
        env={**ctl.env, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words", first_of([["status"], ["enqueue", "--", "true"], ["verify"]]), ids=" ".join
)
@pytest.mark.parametrize("calls", ["pread64", "?fstat,?newfstatat"])
@pytest.mark.parametrize("when", ["1", "1+"])
def test_queue_file_that_cannot_be_read_at_all_is_refused(
    worked: Ctl, calls: str, when: str, words: list[str]
) -> None:
    code, error = failing(worked, calls, when, *words, file="queue.db")
    if when == "1+":
        assert code == 6
    if code == 6:
        assert re.fullmatch(r"error: \S+queue\.db.*.*(I/O|Input/output) error.*; .*\n", error)
    else:  # a call that failed once is made again
        assert (code, error) == (0, "")


@pytest.mark.parametrize("when", ["5", "8"])
def test_later_read_that_fails_does_not_pass_for_a_damaged_file(worked: Ctl, when: str) -> None:
    code, error = failing(worked, "pread64", when, "verify", file="queue.db")
    assert code == 6
    assert "queue.db: the disk failed to read it (Input/output error); check the disk" in error
    assert "backup" not in error


@pytest.mark.parametrize("when", ["5", "8"])
def test_backup_that_the_disk_fails_to_read_does_not_pass_for_a_damaged_one(
    worked: Ctl, when: str
) -> None:
    code, error = failing(
        worked, "pread64", when, "restore", "--dry-run", "--force", "monday.db", file="monday.db"
    )
    assert code == 6
    assert "monday.db: the disk failed to read it (Input/output error)" in error


def test_shared_memory_that_cannot_be_written_does_not_pass_for_a_full_disk(worked: Ctl) -> None:
    for beside in ("queue.db-wal", "queue.db-shm"):
        (worked.folder / beside).unlink(missing_ok=True)
    code, error = failing(worked, "pwrite64", "1+", "enqueue", "--", "true")
    assert code == 6
    assert "disk I/O error; check the disk (dmesg)" in error
    assert "no space" not in error
