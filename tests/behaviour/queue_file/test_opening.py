"""Opening queue files: other files are refused and not changed."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.errors import ForeignFile, Missing, NewerFile, StoreError, Unusable
from eventstore.events.job import Enqueued
from eventstore.location import open_store
from tests.machine import needs_another_user
from tests.stranger import stranger

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


def foreign_wal(path: Path) -> None:
    stranger(str(path), "PRAGMA journal_mode=WAL", "CREATE TABLE jobs (id)")


def world_writable(path: Path) -> None:
    open_store(str(path), create=True).close()
    path.chmod(0o666)


def truncated(path: Path) -> None:
    open_store(str(path), create=True).close()
    os.truncate(path, 40)


def anothers(path: Path) -> None:
    open_store(str(path), create=True).close()
    os.chown(path, 12345, -1)


NOT_OURS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(0o600), "is empty, not a queue"),
    "text": (lambda path: path.write_text("hello\n" * 99), "is not a queue"),
    "short text": (lambda path: path.write_text("#!/bin/sh\n"), "is too short to be a queue"),
    "folder": (lambda path: path.mkdir(), "is a directory"),
    "fifo": (lambda path: os.mkfifo(path), "is not a regular file"),
    "foreign": (foreign_wal, "is a database of another program"),
    "world-writable": (world_writable, "may be written by others"),
    "truncated": (truncated, "is too short to be a queue"),
    "another's": (anothers, "belongs to user 12345"),
}


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    entries = {}
    for path in folder.rglob("*"):
        info = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        entries[path.name] = (info.st_mode, info.st_mtime_ns, content)
    return entries


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=needs_another_user if make is anothers else ())
        for kind, (make, _) in NOT_OURS.items()
    ],
)
def test_file_that_is_no_queue_is_refused_and_not_changed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    make, says = NOT_OURS[kind]
    make(path)
    before = snapshot(tmp_path)
    for create in (False, True):
        with pytest.raises(ForeignFile, match=says):
            open_store(str(path), create=create)
        with pytest.raises(ForeignFile, match=says):
            open_store(str(path), readonly=True)
    assert snapshot(tmp_path) == before


def test_newer_format_is_refused(path: str) -> None:
    open_store(path, create=True).close()
    stranger(path, "PRAGMA user_version = 99")
    with pytest.raises(NewerFile, match="has format 99, this version knows 1"):
        open_store(path)


def test_missing_file_is_reported(path: str) -> None:
    with pytest.raises(Missing, match="no queue at"):
        open_store(path)
    assert not os.path.exists(path)


def test_missing_folder_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(Unusable):
        open_store(str(tmp_path / "no" / "queue.db"), create=True)
    assert list(tmp_path.iterdir()) == []


def test_new_file_is_private_and_leaves_no_temporary_files(path: str, tmp_path: Path) -> None:
    open_store(path, create=True).close()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["queue.db"]


def test_new_file_is_in_wal_mode_with_the_application_id(path: str) -> None:
    open_store(path, create=True).close()
    assert stranger(path, "PRAGMA journal_mode") == [["wal"]]
    assert stranger(path, "PRAGMA application_id") == [[0x5143544C]]


def test_processes_that_create_at_once_share_one_file(path: str, tmp_path: Path) -> None:
    failures: list[StoreError] = []

    def create(name: str) -> None:
        try:
            store = open_store(path, create=True)
            with store.write("anna@box") as tx:
                tx.append(name, 0, [JOB])
            store.close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=create, args=(f"j{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = open_store(path)
    assert store.head().position == 12
    store.close()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"queue.db", "queue.db.d"}


def test_leftover_wal_is_not_used_for_a_new_file(path: str) -> None:
    store = open_store(path, create=True)
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB])
    os.unlink(path)
    with pytest.raises(ForeignFile, match=r"is missing, but its queue\.db-wal exists"):
        open_store(path, create=True)
    assert not os.path.exists(path)
    store.close()


def test_link_in_place_of_the_side_folder_is_not_followed(path: str, tmp_path: Path) -> None:
    store = open_store(path, create=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, f"{path}.d")
    with pytest.raises(ForeignFile):
        store.lock("worker-3f")
    assert list(elsewhere.iterdir()) == []
    store.close()
