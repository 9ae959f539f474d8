"""`restore` as typed: a backup replaces a queue completely or not at all; the old one is kept."""

import os
import shutil
import stat
from pathlib import Path
from signal import SIGKILL

import pytest

from queuectl import Queue
from queuectl.restore import restore
from tests.behaviour.test_backup import LONG, at
from tests.behaviour.test_doctor import digests
from tests.ctl import Ctl, until
from tests.live_queue import LiveQueue, kill_both
from tests.shapes import complete
from tests.stranger import stranger, tamper


@pytest.fixture
def backed(ctl: Ctl) -> Ctl:
    """A queue with a job of long output, and `monday.db`, a backup of it, with its head."""
    ctl.enqueue(LONG)
    ctl.drain()
    ctl("backup", "monday.db", "--head", "monday.head")
    return ctl


def ids(ctl: Ctl) -> list[str]:
    """Return the ids of all jobs, newest first."""
    return ctl("list", "--all").jobs


def kept(ctl: Ctl) -> Path:
    """Return the path of the queue that the last restore has replaced."""
    replaced = sorted(path for path in ctl.folder.glob("queue.db.replaced-*") if path.is_file())
    return replaced[-1]


def test_a_lost_queue_is_restored_with_its_outputs(backed: Ctl) -> None:
    for path in backed.folder.glob("queue.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = backed("restore", "monday.db", "--expect", "@monday.head")
    assert done.out == (backed.folder / "monday.head").read_text()
    assert f"restored {backed.db} from {backed.folder}/monday.db: " in done.err
    assert "old queue" not in done.err
    assert backed("logs", "1").out.endswith("100000\n")
    backed.enqueue("echo on")
    backed.drain()
    assert backed("logs", "2").out == "on\n"
    assert backed("verify").code == 0
    assert backed("doctor").code == 0
    assert stat.S_IMODE(backed.db.stat().st_mode) == 0o600


def test_the_replaced_queue_is_kept_whole_under_the_name_that_is_printed(backed: Ctl) -> None:
    backed.enqueue(LONG)
    backed.drain()
    head = backed("status", "--json").json
    done = backed("restore", "--force", "monday.db", "--json").json
    assert done["discarded_events"] == 5
    assert done["kept_as"] == str(kept(backed))
    assert ids(backed) == ["1"]
    old = at(backed, kept(backed))
    assert ids(old) == ["2", "1"]
    assert old("verify", "--expect", f"{head['position']}:{head['head_hash']}").code == 0
    assert old("logs", "2").out.endswith("100000\n")
    assert old("doctor").code == 0
    assert backed("doctor").code == 0


def test_the_backup_is_not_changed_and_can_be_used_again(backed: Ctl) -> None:
    before = digests(backed.folder / "monday.db.d")
    for _ in range(2):
        backed.enqueue("true")
        backed("restore", "--force", "monday.db")
        assert ids(backed) == ["1"]
    assert digests(backed.folder / "monday.db.d") == before
    assert len([p for p in backed.folder.glob("queue.db.replaced-*") if p.is_file()]) == 2


def test_a_damaged_queue_is_replaced_without_force(backed: Ctl) -> None:
    backed("list")
    Path(f"{backed.db}-wal").unlink(missing_ok=True)
    with open(backed.db, "r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 20_000)
    backed("list", code=6)
    backed("restore", "monday.db")
    assert ids(backed) == ["1"]
    assert backed("verify").code == 0
    assert kept(backed).read_bytes()[100:110] == b"\xa5" * 10


def test_a_queue_with_newer_events_is_replaced_only_by_force(backed: Ctl) -> None:
    backed.enqueue("true")
    backed("list")  # who reads leaves an empty -wal there
    before = digests(backed.folder)
    error = backed("restore", "monday.db", code=4).err
    assert "has 1 event that" in error
    assert "--force" in error
    assert error.count("\n") == 1
    assert digests(backed.folder) == before


def test_a_queue_of_another_origin_is_replaced_only_by_force(backed: Ctl) -> None:
    other = at(backed, backed.folder / "other.db")
    other.enqueue("true")
    assert "holds another queue than" in other("restore", "monday.db", code=4).err
    other("restore", "--force", "monday.db")
    assert ids(other) == ["1"]


def test_a_queue_with_another_history_is_replaced_only_by_force(backed: Ctl) -> None:
    backed("restore", "monday.db")
    backed.enqueue("true")
    backed("backup", "tuesday.db")
    backed("restore", "--force", "monday.db")
    backed.enqueue("false")
    backed.enqueue("false")
    assert "has another history than" in backed("restore", "tuesday.db", code=4).err


def test_an_older_state_of_the_queue_is_replaced_without_force(backed: Ctl) -> None:
    backed.enqueue("true")
    backed("backup", "tuesday.db")
    backed("restore", "--force", "monday.db")
    assert backed("restore", "tuesday.db", "--json").json["discarded_events"] == 0
    assert ids(backed) == ["2", "1"]


def test_nothing_is_changed_by_a_dry_run(backed: Ctl) -> None:
    backed.enqueue("true")
    backed("list")  # who reads leaves an empty -wal there
    before = digests(backed.folder)
    done = backed("restore", "--force", "--dry-run", "monday.db", "--expect", "@monday.head")
    assert "would restore" in done.err
    assert "would be kept as" in done.err
    assert "1 event of it is not in the backup" in done.err
    assert backed("restore", "--dry-run", "monday.db", code=4).err
    assert digests(backed.folder) == before


def test_a_backup_without_the_expected_head_is_refused(backed: Ctl) -> None:
    backed.enqueue("true")
    later = backed("backup", "tuesday.db").out.strip()
    before = digests(backed.folder)
    error = backed("restore", "--force", "monday.db", "--expect", later, code=5).err
    assert "but the expected head is at" in error
    other = f"1:{'0' * 64}"
    assert "not the expected one" in backed("restore", "monday.db", "--expect", other, code=5).err
    assert digests(backed.folder) == before


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        ("UPDATE events SET actor = 'eve' WHERE position = 2", "is damaged at position 2"),
        ("DELETE FROM events WHERE position = 3", "is damaged at position 3"),
    ],
)
def test_a_backup_that_was_changed_is_refused(backed: Ctl, harm: str, message: str) -> None:
    tamper(str(backed.folder / "monday.db"), harm)
    stranger(str(backed.folder / "monday.db"), "PRAGMA wal_checkpoint(TRUNCATE)")
    before = digests(backed.folder)
    error = backed("restore", "monday.db", code=5).err
    assert message in error
    assert "restore another backup" in error
    assert digests(backed.folder) == before


def test_a_file_that_is_no_backup_is_refused(backed: Ctl) -> None:
    (backed.folder / "list").write_text("a shopping list" * 100)
    os.mkfifo(backed.folder / "pipe")
    (backed.folder / "used.db-wal").write_text("records")
    shutil.copy(backed.folder / "monday.db", backed.folder / "used.db")
    before = digests(backed.folder)
    for name, message in (
        ("nothing.db", "cannot be read (No such file or directory)"),
        ("list", "is not a queue"),
        ("pipe", "is not a regular file"),
        (".", "is a directory"),
        ("queue.db", "is the queue itself"),
        ("used.db", "is in use as a queue, or was"),
    ):
        error = backed("restore", "--force", name, code=6).err
        assert message in error
        assert error.count("\n") == 1
    assert digests(backed.folder) == before


def test_a_file_that_is_no_queue_is_not_replaced(backed: Ctl) -> None:
    other = at(backed, backed.folder / "list")
    other.db.write_text("a shopping list" * 100)
    assert "is not a queue" in other("restore", "--force", "monday.db", code=6).err
    nowhere = at(backed, backed.folder / "list")
    nowhere.env["QUEUECTL_DB"] = str(backed.folder / "nowhere" / "queue.db")
    assert "there is no folder" in nowhere("restore", "monday.db", code=6).err


def test_a_running_worker_keeps_its_queue(backed: Ctl) -> None:
    with backed.worker() as worker:
        backed("wait", backed.enqueue("true"))
        error = backed("restore", "--force", "monday.db", code=4).err
        assert "is running on this queue; first run: queuectl worker stop --now" in error
        worker.kill()
        worker.ends()
    backed("restore", "--force", "monday.db")
    assert ids(backed) == ["1"]


def test_a_process_that_has_the_queue_open_is_named(backed: Ctl) -> None:
    with backed.executed("events", "-f") as feed:
        feed.says("enqueued")
        error = backed("restore", "--force", "monday.db", code=6).err
        assert f"is in use by process {feed.pid} (" in error
        assert "events -f" in error
    backed("restore", "--force", "monday.db")


def test_jobs_of_a_killed_worker_are_taken_over_after_a_restore(ctl: Ctl) -> None:
    live = LiveQueue(ctl.folder)
    job = live.enqueue("sleep 60")
    with live.worker() as running:
        until(lambda: complete("plain", live.work), "the job's process")
        ctl("backup", "monday.db")
        kill_both(running.pid, live.supervisor(running))
        running.ends()
    live.queue.close()
    ctl("restore", "--force", "monday.db")
    ctl("cancel", job)
    ctl.drain()
    assert ctl.show(job)["state"] == "cancelled"


def test_files_next_to_a_missing_queue_are_kept(backed: Ctl) -> None:
    backed.db.unlink()
    Path(f"{backed.db}-wal").write_bytes(b"records of the file that was lost")
    backed("restore", "monday.db")
    assert ids(backed) == ["1"]
    (wal,) = backed.folder.glob("queue.db.replaced-*-wal")
    assert wal.read_bytes() == b"records of the file that was lost"


@pytest.mark.parametrize("step", range(1, 4))
def test_a_failed_restore_changes_nothing(
    backed: Ctl, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed.enqueue("true")
    before = {path: digest for path, digest in digests(backed.folder).items() if "-wal" not in path}
    steps = iter(range(1, 100))
    rename = os.rename

    def failing(old: str, new: str) -> None:
        if next(steps) == step:
            raise OSError(5, "Input/output error")
        rename(old, new)

    monkeypatch.setattr(os, "rename", failing)
    monday = str(backed.folder / "monday.db")
    with pytest.raises(Exception, match="Input/output error"):
        restore(monday, str(backed.db), None, "replace", dry_run=False)
    monkeypatch.undo()
    after = {path: digest for path, digest in digests(backed.folder).items() if "-wal" not in path}
    assert after.keys() == before.keys()
    assert ids(backed) == ["2", "1"]
    assert backed("logs", "1").out.endswith("100000\n")
    assert backed("verify").code == 0


def test_the_next_restore_completes_one_that_was_killed(
    backed: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the new side folder is in place, and the new file is not."""
    backed.enqueue("true")
    program = f"""
import os, sys
from queuectl.restore import restore
rename = os.rename
def killed(old, new):
    if new == {str(backed.db)!r}:
        os.kill(os.getpid(), {SIGKILL:d})
    rename(old, new)
os.rename = killed
restore({str(backed.folder / "monday.db")!r}, {str(backed.db)!r}, None, "replace", dry_run=False)"""
    assert backed.start_python(program).ends().code == -SIGKILL
    assert ids(backed) == ["2", "1"]
    backed("restore", "--force", "monday.db")
    assert ids(backed) == ["1"]
    assert backed("logs", "1").out.endswith("100000\n")
    assert backed("verify").code == 0


def test_a_queue_that_is_open_in_python_is_not_replaced(backed: Ctl) -> None:
    with Queue(backed.db) as queue:
        assert "is in use by process" in backed("restore", "monday.db", code=6).err
        queue.enqueue("true")


def test_the_head_of_a_backup_is_written_last(backed: Ctl) -> None:
    kept_head = (backed.folder / "monday.head").read_text()
    backed.enqueue("true")
    backed("backup", "monday.db", "--head", "monday.head", code=4)
    assert (backed.folder / "monday.head").read_text() == kept_head
    tamper(str(backed.db), "UPDATE events SET actor = 'eve' WHERE position = 2")
    backed("backup", "--force", "monday.db", "--head", "monday.head", code=5)
    assert (backed.folder / "monday.head").read_text() == kept_head
    assert not list(backed.folder.glob("*.new"))


@pytest.mark.parametrize("file", ["nowhere/head", "folder"])
def test_an_unwritable_head_file_prevents_the_backup(backed: Ctl, file: str) -> None:
    (backed.folder / "folder").mkdir()
    assert (
        "choose another file for the head"
        in backed("backup", "tuesday.db", "--head", file, code=6).err
    )
    assert not (backed.folder / "tuesday.db").exists()


def test_a_head_is_read_from_a_file(backed: Ctl) -> None:
    assert backed("verify", "--expect", "@monday.head").code == 0
    assert "--expect @FILE reads a head" in backed("verify", "--expect", "@nope", code=2).err
    (backed.folder / "empty").touch()
    assert "is not a head" in backed("verify", "--expect", "@empty", code=2).err
