"""A queue file has one name: under a second name it would have a second -wal, and lose jobs."""

import os
import shutil
from pathlib import Path

import pytest

from eventstore.sqlite.file_name import last_use
from eventstore.sqlite.opening import connect
from queuectl import Queue
from tests.behaviour.test_doctor import digests
from tests.crashed import leave_a_wal
from tests.ctl import Ctl
from tests.mounts import by_shell, with_mounts

COMMANDS = (
    ["enqueue", "--", "true"],
    ["enqueue", "--dry-run", "--", "true"],
    ["list"],
    ["status", "--json"],
    ["show", "1"],
    ["wait", "1"],
    ["cancel", "1"],
    ["worker", "start", "--until-empty"],
    ["worker", "stop"],
    ["verify"],
    ["replay"],
    ["backup", "copy.db"],
    ["config", "set", "jitter", "0"],
)


def refused(ctl: Ctl, db: Path | str, *words: str) -> str:
    """Return the line with which a command refuses the queue file `db`."""
    error = ctl("--db", str(db), *words, code=6).err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_hard_link_is_refused_by_a_line_that_names_the_queue(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true")
    other = ctl.folder / "other.db"
    os.link(ctl.db, other)
    before = digests(ctl.folder)
    assert f"{other} is a second name (hard link) of the queue {ctl.db}" in refused(
        ctl, other, *words
    )
    assert digests(ctl.folder) == before
    assert {path.name for path in ctl.folder.iterdir()} <= {
        *("queue.db", "other.db", "queue.db-wal", "queue.db-shm")
    }


def test_doctor_explains_a_hard_link(ctl: Ctl) -> None:
    ctl.enqueue("true")
    os.link(ctl.db, ctl.folder / "other.db")
    message = ctl("--db", "other.db", "doctor", code=1).out
    assert f"of the queue {ctl.db}\tuse that name" in message


def test_the_queue_keeps_working_if_a_second_name_appears(ctl: Ctl) -> None:
    """A backup program that makes links, like `cp -al`, must not stop the queue."""
    ctl.enqueue("true")
    with ctl.worker() as worker:
        snapshot = ctl.folder / "snapshot"
        snapshot.mkdir()
        for path in ctl.folder.glob("queue.db"):
            os.link(path, snapshot / path.name)
        job = ctl.enqueue("echo seen")
        ctl("wait", job)
        assert str(ctl.db) in refused(ctl, snapshot / "queue.db", "enqueue", "--", "true")
        worker.kill()
        worker.ends()
    assert ctl("list").lines[0].startswith("2\tcompleted")
    assert ctl("verify").code == 0


def test_links_without_a_known_first_name_are_all_refused(ctl: Ctl) -> None:
    ctl.enqueue("true")
    folder = ctl.folder / "moved"
    folder.mkdir()
    ctl.db.rename(folder / "a.db")
    os.link(folder / "a.db", folder / "b.db")
    for name in ("a.db", "b.db"):
        assert "has several names (hard links)" in refused(ctl, folder / name, "list")
    (folder / "b.db").unlink()
    assert ctl("--db", str(folder / "a.db"), "list").jobs == ["1"]


def test_a_link_left_by_a_killed_creation_is_harmless(ctl: Ctl) -> None:
    ctl.enqueue("true")
    os.link(ctl.db, ctl.folder / "queue.db.0123456789ab.new")
    assert ctl.enqueue("true") == "2"
    assert "second name" in refused(ctl, ctl.folder / "queue.db.0123456789ab.new", "list")


def test_symbolic_links_lead_to_the_one_name(ctl: Ctl) -> None:
    ctl.enqueue("true")
    (ctl.folder / "link.db").symlink_to("queue.db")
    (ctl.folder / "folder").symlink_to(".")
    for db in ("link.db", "folder/queue.db", "folder/link.db"):
        ctl("--db", db, "enqueue", "--", "true")
    assert ctl("list").jobs == ["4", "3", "2", "1"]
    assert not (ctl.folder / "link.db-wal").exists()


def test_a_descriptor_leads_to_the_one_name(ctl: Ctl) -> None:
    ctl.enqueue("true")
    for link in ("/proc/self/fd/9", "/dev/fd/9"):
        by_shell(ctl, f'exec 9<queue.db; "$@" --db {link} enqueue -- true')
    assert ctl("list").jobs == ["3", "2", "1"]


@pytest.mark.parametrize("link", ["/proc/self/fd/9", "/dev/fd/9"])
def test_a_descriptor_of_a_removed_file_is_refused(ctl: Ctl, link: str) -> None:
    ctl.enqueue("true")
    done = by_shell(ctl, f'exec 9<queue.db; rm queue.db; "$@" --db {link} list')
    assert done.returncode == 6
    assert "is reached through a link in /proc" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_mount_of_the_file_alone_is_refused(ctl: Ctl) -> None:
    """The link count is 1, but the -wal of the mounted name is another file."""
    ctl.enqueue("true")
    (ctl.folder / "inside").mkdir()
    (ctl.folder / "inside" / "q.db").touch()
    script = 'mount --bind queue.db inside/q.db; "$@" --db inside/q.db enqueue -- true'
    done = with_mounts(ctl, script)
    assert done.returncode == 6
    assert f"{ctl.folder}/inside/q.db is a second name of /" in done.stderr
    assert "/queue.db, mounted here as a single file; mount the folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(ctl.folder / "inside") == ["q.db"]


def test_a_mount_of_the_folder_is_the_same_queue(ctl: Ctl) -> None:
    ctl.enqueue("true")
    (ctl.folder / "inside").mkdir()
    script = """
        mount --bind . inside
        "$@" --db inside/queue.db enqueue -- true
        "$@" --db queue.db enqueue -- true
        "$@" --db inside/queue.db list"""
    assert with_mounts(ctl, script).stdout.splitlines()[-3][0] == "3"
    assert ctl("list").jobs == ["3", "2", "1"]
    assert ctl("verify").code == 0


def test_the_root_of_a_process_that_has_another_one_is_refused(ctl: Ctl) -> None:
    """The text of such a link is `/`, which here is a different root from the one it leads to."""
    (ctl.folder / "inside").mkdir()
    done = with_mounts(
        ctl,
        """
        unshare --mount sh -c 'mount -t tmpfs -o mode=0700 tmpfs inside; "$@" --db inside/q.db \\
            enqueue -- true; echo >ready; read _ <ready; exec sleep 60' sh "$@" &
        until [ -s ready ]; do sleep 0.05; done; sleep 0.2
        "$@" --db "/proc/$!/root$PWD/inside/q.db" enqueue -- true; echo $?; kill $!""",
    )
    assert done.stdout.splitlines() == ["1", "6"]
    assert "is reached through a link in /proc" in done.stderr
    assert os.listdir(ctl.folder / "inside") == []


@pytest.mark.parametrize("target", ["other.db", "elsewhere/queue.db"])
def test_a_queue_that_was_moved_without_its_wal_is_refused(ctl: Ctl, target: str) -> None:
    ctl.enqueue("true")
    leave_a_wal(ctl.db)
    other = ctl.folder / target
    other.parent.mkdir(exist_ok=True)
    ctl.db.rename(other)
    assert f"{other} was moved from {ctl.db}, but its newest records are still in" in refused(
        ctl, other, "list"
    )
    refused(ctl, other, "enqueue", "--", "true")
    Path(f"{other}-wal").unlink(missing_ok=True)
    Path(f"{ctl.db}-wal").rename(f"{other}-wal")
    assert ctl("--db", str(other), "list").jobs == ["2", "1"]
    assert ctl("--db", str(other), "verify").code == 0


def test_a_queue_renamed_under_its_worker_is_refused(ctl: Ctl) -> None:
    with ctl.worker() as worker:
        ctl("wait", ctl.enqueue("true"))
        other = ctl.folder / "other.db"
        ctl.db.rename(other)
        assert "was moved from" in refused(ctl, other, "enqueue", "--", "true")
        worker.end()
    other.rename(ctl.db)
    assert ctl("list").lines[0].startswith("1\tcompleted")
    assert ctl("verify").code == 0


def test_a_queue_that_nobody_uses_may_be_moved_again_and_again(ctl: Ctl) -> None:
    ctl.enqueue("true")
    for name in ("a.db", "b.db"):
        shutil.move(ctl.db, ctl.folder / name)
        ctl.db = ctl.folder / name
        ctl.env["QUEUECTL_DB"] = str(ctl.db)
        ctl.enqueue("true")
        os.link(ctl.db, ctl.folder / "link.db")  # the new name is the one that counts now
        assert f"of the queue {ctl.db};" in refused(ctl, ctl.folder / "link.db", "list")
        (ctl.folder / "link.db").unlink()
    assert ctl("list").jobs == ["3", "2", "1"]


def test_a_copy_is_a_queue_of_its_own(ctl: Ctl) -> None:
    ctl.enqueue("true")
    leave_a_wal(ctl.db)
    ctl("backup", "backup.db")
    shutil.copy(ctl.db, ctl.folder / "copy.db")
    (ctl.folder / "copy.db").chmod(0o600)
    ctl.db.unlink()  # and now its -wal is all that is left of the original
    for name in ("backup.db", "copy.db"):
        assert ctl("--db", name, "list").code == 0
        ctl("--db", name, "enqueue", "--", "true")
        assert str(ctl.folder / name) in str(last_use(connect(str(ctl.folder / name))))


def test_a_file_without_the_record_of_its_name_gets_one(ctl: Ctl) -> None:
    ctl.enqueue("true")
    connection = connect(str(ctl.db))
    connection.execute("DROP TABLE last_use")
    connection.close()
    assert ctl("list").jobs == ["1"]
    with Queue(ctl.place) as queue:
        queue.enqueue("true")
    connection = connect(str(ctl.db))
    recorded_use = last_use(connection)
    connection.close()
    assert recorded_use is not None
    assert recorded_use.path == str(ctl.db)
