"""`backup` as typed: a snapshot of a queue in use, complete or not there, and restored."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from signal import SIGINT, SIGKILL, Signals

import pytest

from queuectl import Queue
from queuectl.backup import backup
from tests.behaviour.test_doctor import digests
from tests.ctl import DEADLINE_S, PROGRAM, Ctl, until
from tests.live_queue import LiveQueue
from tests.machine import needs_mounts, with_mounts
from tests.sampling import first_of
from tests.shapes import complete
from tests.stranger import stranger, tamper

LONG = "seq 100000"
"""A command that prints more than is stored in the database."""


@pytest.fixture
def worked(ctl: Ctl) -> Ctl:
    """A queue with a completed job of long output, a dead one and a pending one."""
    ctl.enqueue(LONG)
    ctl.dead_job()
    ctl.enqueue("echo put back")
    return ctl


def at(ctl: Ctl, path: Path) -> Ctl:
    """Return the program with another queue file."""
    other = Ctl(path.parent)
    other.db = path
    other.env = {**ctl.env, "QUEUECTL_DB": str(path)}
    return other


def names(folder: Path) -> set[str]:
    """Return the names of the files in the folder."""
    return set(os.listdir(folder))


def test_a_backup_is_the_queue_of_one_moment(worked: Ctl) -> None:
    done = worked("backup", "monday.db")
    head = done.out.strip()
    assert done.err.startswith(f"wrote {worked.folder}/monday.db: 11 events, ")
    assert worked("verify", "--expect", head).code == 0
    copy = at(worked, worked.folder / "monday.db")
    assert copy("verify", "--expect", head).code == 0
    assert copy("replay", "--check").code == 0
    assert copy("list").out == worked("list").out
    assert copy("logs", "1").out == worked("logs", "1").out
    answer = worked("backup", "tuesday.db", "--json").json
    assert f"{answer['position']}:{answer['head_hash']}" == head
    assert answer["outputs"] == 1


def test_a_backup_leaves_the_queue_as_it_was(worked: Ctl) -> None:
    worked("list")
    before = digests(worked.folder)
    worked("backup", "monday.db")
    after = digests(worked.folder)
    assert {path: after[path] for path in before} == before


def test_only_the_owner_can_read_a_backup(worked: Ctl) -> None:
    worked("backup", "monday.db", code=0)
    for path in (worked.folder / "monday.db", *(worked.folder / "monday.db.d").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((worked.folder / "monday.db.d").stat().st_mode) == 0o700


def test_each_backup_made_while_workers_run_is_valid(ctl: Ctl) -> None:
    lines = '{"command": "seq 20000"}\n{"command": "false", "max_retries": 0}\n' * 100
    ctl("enqueue", "--file", "-", stdin=lines)
    heads = []
    with ctl.worker("--count", "4") as worker:
        for number in range(6):
            ctl.enqueue("true")
            heads.append(ctl("backup", f"{number}.db").out.strip())
        worker.kill(SIGINT)
        worker.ends()
    assert len(set(heads)) == len(heads)
    for number, head in enumerate(heads):
        copy = at(ctl, ctl.folder / f"{number}.db")
        assert copy("verify", "--expect", head).code == 0
        assert copy("replay", "--check").code == 0
        assert ctl("verify", "--expect", head).code == 0


def test_a_restored_backup_continues_where_it_was(worked: Ctl) -> None:
    """The steps of docs/operations.md."""
    worked("backup", "monday.db")
    worked.drain()
    for stale in ("queue.db", "queue.db-wal", "queue.db-shm"):
        (worked.folder / stale).unlink(missing_ok=True)
    shutil.rmtree(worked.folder / "queue.db.d")
    (worked.folder / "monday.db").rename(worked.db)
    (worked.folder / "monday.db.d").rename(f"{worked.db}.d")
    assert worked("doctor").code == 0
    assert worked("logs", "1").out.endswith("100000\n")
    worked.drain()
    assert worked("logs", "3").out == "put back\n"
    assert worked("verify").code == 0
    assert worked("replay", "--check").code == 0


def test_a_later_head_reveals_an_older_backup(worked: Ctl) -> None:
    older = worked("backup", "monday.db").out.strip()
    worked.drain()
    newer = worked("backup", "tuesday.db").out.strip()
    monday = at(worked, worked.folder / "monday.db")
    message = monday("verify", "--expect", newer, code=5).out
    last, first = newer.partition(":")[0], older.partition(":")[0]
    missing = f"events {int(first) + 1}-{last} are missing"
    assert message == f"the log ends at {first}, but the expected head is at {last}: {missing}\n"
    assert at(worked, worked.folder / "tuesday.db")("verify", "--expect", older).code == 0
    monday.drain()  # and when it went on otherwise, its history is another one
    assert "not the expected one" in monday("verify", "--expect", newer, code=5).out


def test_a_copy_ends_no_process_of_the_original(ctl: Ctl, tmp_path: Path) -> None:
    live = LiveQueue(ctl.folder)
    with live.worker():
        job = live.enqueue("sleep 60")
        pids = until(lambda: complete("plain", live.work), "the job")
        (tmp_path / "copy").mkdir()
        ctl("backup", "copy/queue.db")
        copy = at(ctl, tmp_path / "copy" / "queue.db")
        with copy.worker():
            copy.wait_for(job, "requeued", why="worker-lost")
        assert set(pids) <= set(complete("plain", live.work) or ())
        assert live.queue.get(job).state == "processing"
    live.queue.close()


def test_nothing_is_overwritten_unless_asked(worked: Ctl) -> None:
    (worked.folder / "taken").write_text("a shopping list")
    worked("backup", "monday.db")
    for name in ("taken", "monday.db"):
        before = digests(worked.folder)
        assert "already exists" in worked("backup", name, code=4).err
        assert digests(worked.folder) == before


def test_nothing_but_a_backup_of_this_queue_is_replaced(worked: Ctl) -> None:
    (worked.folder / "list").write_text("a shopping list" * 100)
    (worked.folder / "link").symlink_to("list")
    os.mkfifo(worked.folder / "pipe")
    other = at(worked, worked.folder / "other.db")
    other.enqueue("true")
    stranger(str(other.db), "PRAGMA wal_checkpoint(TRUNCATE)")
    worked("list")  # who reads leaves an empty -wal there
    before = digests(worked.folder)
    for name, message in (
        ("list", "is no backup of a queue (is not a queue)"),
        ("link", "is a link"),
        ("pipe", "is no backup of a queue (is not a regular file)"),
        ("other.db", "holds another queue"),
    ):
        assert message in worked("backup", "--force", name, code=6).err
    assert digests(worked.folder) == before


def test_a_backup_on_a_share_is_replaced(worked: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """No queue may be on a share, and the share decides the modes of files."""
    nightly = str(worked.folder / "nightly.db")
    worked("backup", nightly)
    os.chmod(nightly, 0o777)

    def on_a_share(path: str, device: int) -> str | None:
        return "nfs" if path == nightly else None

    monkeypatch.setattr("eventstore.sqlite.opening.network_file_system", on_a_share)
    worked.enqueue("true")
    with Queue(str(worked.db)) as queue:
        done = backup(queue.store, nightly, "replace")
        assert done.head == queue.store.head()


@pytest.mark.parametrize("name", first_of(["", "-wal", ".d", "-shm", "-journal", ".d/locks/x"], 3))
@pytest.mark.parametrize("words", [(), ("--force",)])
def test_no_part_of_a_queue_is_written_over(ctl: Ctl, name: str, words: tuple[str, ...]) -> None:
    """SQLite would use a backup of such a name as its own file, and lose acknowledged changes."""
    with ctl.worker():
        jobs = [ctl.enqueue("true", delay="1h") for _ in range(3)]
        refused = ctl("backup", *words, f"queue.db{name}", code=6).err
        assert "queue itself" in refused or "a part of queue.db" in refused
        assert ctl.enqueue("true", delay="1h")
    assert [ctl("show", job, "--json").json["job"]["state"] for job in jobs] == ["scheduled"] * 3
    assert ctl("verify").code == 0


def test_a_backup_that_is_not_replaced_after_all_keeps_its_outputs(
    worked: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup is interrupted just before the new file gets its name."""
    worked.drain()
    worked("backup", "nightly.db")
    worked.enqueue(LONG)
    worked.drain()

    rename = os.rename

    def interrupted(old: str, new: str) -> None:
        if old.endswith(".new"):
            raise KeyboardInterrupt
        rename(old, new)

    with Queue(str(worked.db)) as queue, monkeypatch.context() as patched:
        patched.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backup(queue.store, str(worked.folder / "nightly.db"), "replace")
    nightly = at(worked, worked.folder / "nightly.db")
    assert nightly("logs", "1").out.endswith("100000\n")
    assert nightly("logs", "4", code=None).out == ""


def test_a_newer_backup_may_replace_an_older_one(worked: Ctl) -> None:
    worked("backup", "nightly.db")
    worked.enqueue(LONG)
    worked.drain()
    head = worked("backup", "--force", "nightly.db").out.strip()
    copy = at(worked, worked.folder / "nightly.db")
    assert copy("verify", "--expect", head).code == 0
    assert copy("logs", "4").out.endswith("100000\n")
    assert {name for name in names(worked.folder) if ".new" in name} == set()
    assert sorted(os.listdir(worked.folder / "nightly.db.d" / "outputs")) == ["1.1", "4.1"]


def test_an_unusable_backup_path_is_refused(worked: Ctl) -> None:
    (worked.folder / "folder").mkdir()
    (worked.folder / "x.db-wal").write_text("of another file")
    (worked.folder / "y.db.d").symlink_to("folder")
    for words, message in (
        (("--force", "queue.db"), "is the queue itself"),
        (("--force", "folder"), "is a directory"),
        (("nope/x.db",), "does not exist; create it"),
        (("x.db",), "has x.db-wal next to it"),
        (("--force", "y.db"), "is not a directory"),
    ):
        refused = worked("backup", *words, code=6)
        assert message in refused.err
        assert refused.err.count("\n") == 1
    assert os.listdir(worked.folder / "folder") == []
    assert "already exists" in worked("backup", "y.db", code=4).err


def test_without_a_queue_there_is_nothing_to_back_up(ctl: Ctl) -> None:
    assert "no queue at" in ctl("backup", "monday.db", code=6).err
    assert os.listdir(ctl.folder) == []


def test_a_damaged_queue_cannot_be_backed_up(worked: Ctl) -> None:
    tamper(str(worked.db), "UPDATE events SET actor = 'eve' WHERE position = 3")
    assert "damaged at position 3" in worked("backup", "monday.db", code=5).err
    assert not [name for name in names(worked.folder) if "monday" in name]


def test_a_queue_with_a_damaged_page_cannot_be_backed_up(worked: Ctl) -> None:
    stranger(str(worked.db), "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(worked.db, "r+b") as file:
        file.seek(os.path.getsize(worked.db) - 4096)
        file.write(b"\xa5" * 4096)
    refused = worked("backup", "monday.db", code=None)
    assert refused.code in (5, 6)
    assert refused.err.count("\n") == 1
    assert not (worked.folder / "monday.db").exists()
    assert not [name for name in names(worked.folder) if ".new" in name]


@pytest.mark.parametrize(
    ("number", "code"), [(SIGINT, 130), pytest.param(SIGKILL, -SIGKILL, marks=pytest.mark.proof)]
)
def test_an_interrupted_backup_does_not_get_its_name(ctl: Ctl, number: Signals, code: int) -> None:
    lines = "".join(f'{{"command": "echo {n} {"x" * 400}"}}\n' for n in range(30_000))
    ctl("enqueue", "--file", "-", stdin=lines)
    running = ctl.start("backup", "monday.db")
    until(lambda: [n for n in names(ctl.folder) if n.endswith(".new")] or None, "its beginning")
    running.kill(number)
    assert running.ends().code == code
    left = {name for name in names(ctl.folder) if name.startswith("monday.db")}
    assert "monday.db" not in left
    assert number == SIGKILL or not left
    assert ctl("backup", "monday.db").code == 0


@needs_mounts
def test_a_full_disk_is_one_line_and_leaves_nothing(ctl: Ctl) -> None:
    ctl("enqueue", "--file", "-", stdin='{"command": "true"}\n' * 5000)
    ctl.enqueue(LONG)
    ctl.drain("--count", "1", "--queue", "none")
    (ctl.folder / "disk").mkdir()
    mount = "mount -t tmpfs -o size=1m,mode=0700 tmpfs disk"
    script = f'{mount}; "$@" backup disk/x.db; echo $?; ls -A disk'
    done = subprocess.run(
        with_mounts("sh", "-c", script, "sh", *PROGRAM),
        env=ctl.env,
        cwd=ctl.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.stdout == "6\n"
    assert done.stderr.startswith("error: no space left for ")
    assert done.stderr.count("\n") == 1


HEADS = (
    *("queue.db", "queue.db-wal", "queue.db.d/head", "tuesday.db", "monday.db"),
    *("other.db", "notes.txt", "link.head", "linked/tuesday.db", "tuesday.db.d"),
    *("queue.db-shm", "queue.db-journal", "tuesday.db-wal", "tuesday.db.d/head", "./tuesday.db"),
    *("monday.db-wal",),
)
"""Files for the head that would damage a queue or a backup, or replace something else."""


@pytest.mark.parametrize("head", first_of(HEADS, 10))
def test_a_head_replaces_nothing_but_an_older_head(worked: Ctl, head: str) -> None:
    folder = worked.folder
    worked("backup", "monday.db", "--head", "monday.head", code=0)
    at(worked, folder / "other.db").enqueue("true")
    (folder / "notes.txt").write_text("a shopping list")
    (folder / "link.head").symlink_to("monday.head")
    (folder / "linked").symlink_to(".")
    (folder / "queue.db.d").mkdir(exist_ok=True)
    worked("list")
    (folder / "tuesday.db.d").mkdir()
    before = digests(folder)
    refused = worked("backup", "--force", "tuesday.db", "--head", head, code=6)
    assert refused.err.startswith(f"error: {head} cannot be written (it ")
    assert refused.err.count("\n") == 1
    assert digests(folder) == before
    assert worked("verify").code == 0


def test_a_head_replaces_an_older_head_or_an_empty_file(worked: Ctl) -> None:
    (worked.folder / "monday.head").touch()
    for _ in range(2):
        done = worked("backup", "--force", "monday.db", "--head", "monday.head", code=0)
        assert (worked.folder / "monday.head").read_text() == done.out


@pytest.mark.parametrize("suffix", first_of(["-wal", ".d", "-shm", "-journal"], 2))
def test_no_queue_is_created_under_the_name_of_a_part_of_another(worked: Ctl, suffix: str) -> None:
    worked("backup", "monday.db", code=0)
    worked("list")
    part = f"tuesday.db{suffix}"
    (worked.folder / "monday.db").rename(worked.folder / "tuesday.db")
    before = names(worked.folder)
    for words in (("enqueue", "--", "true"), ("restore", "tuesday.db")):
        error = worked("--db", part, *words, code=6).err
        assert "would be taken for a part of tuesday.db" in error
    assert names(worked.folder) == before
