"""Rare events: a lost race, a name that is used already, a system call that fails."""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from eventstore.errors import (
    ChainBroken,
    ForeignFile,
    Full,
    ReadOnly,
    StorageFailed,
    StoreError,
    StreamConflict,
)
from eventstore.events.job import Enqueued
from eventstore.location import open_store
from eventstore.sqlite.reader import SqliteReader
from eventstore.store import Store, Writer

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


def append(store: Store, stream: str) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, 0, [JOB])


def append_twice(tx: Writer) -> None:
    for _ in range(2):
        tx.append("1", 0, [JOB])


def append_behind_its_back(tx: Writer) -> None:
    tx.append("1", 0, [JOB])
    tx._connection.execute(  # type: ignore[attr-defined]
        "INSERT INTO events VALUES (1, '2', 1, 'x', 1, 'eve', 1, NULL, '{}', x'00')"
    )


def after(call: Callable[..., Any], error: OSError) -> Callable[..., Any]:
    """Return a function that makes the call and raises `error` afterwards."""

    def failing(*arguments: Any, **keywords: Any) -> Any:
        call(*arguments, **keywords)
        raise error

    return failing


def failing(error: Exception) -> Callable[..., Any]:
    """Return a function that raises `error`."""

    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def test_folders_created_by_another_process_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(os, "mkdir", after(os.mkdir, FileExistsError()))
    store = open_store(str(tmp_path / "state" / "queuectl" / "queue.db"), create=True)
    assert store.side_folder.folder("locks") > 0
    store.close()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EACCES, ReadOnly),
        (errno.EROFS, ReadOnly),
        (errno.ENOSPC, Full),
        (errno.EMFILE, StorageFailed),
    ],
)
def test_folder_that_cannot_be_opened_is_reported(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[StoreError],
) -> None:
    monkeypatch.setattr(os, "open", failing(OSError(number, os.strerror(number))))
    with pytest.raises(expected):
        store.lock("worker-3f")


def test_bell_that_rang_thousands_of_times_is_drained(store: Store) -> None:
    with closing(store.doorbell()) as bell:
        name = f"{store.side_folder.path}/bells/{os.listdir(store.side_folder.path + '/bells')[0]}"
        ringer = os.open(name, os.O_WRONLY | os.O_NONBLOCK)
        os.write(ringer, b"!" * 5_000)
        bell.drain()
        with pytest.raises(BlockingIOError):
            os.read(bell.fileno(), 1)
        os.close(ringer)


def test_file_that_is_no_bell_is_not_removed(store: Store, tmp_path: Path) -> None:
    with closing(store.doorbell()):
        pass
    other = socket.socket(socket.AF_UNIX)
    os.chdir(f"{store.side_folder.path}/bells")  # the name of a socket has room for a hundred bytes
    other.bind("other")
    os.chdir("/")
    append(store, "1")
    assert os.listdir(f"{store.side_folder.path}/bells") == ["other"]
    other.close()


def test_listener_that_ends_while_it_is_rung_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(store.doorbell()):
        monkeypatch.setattr(os, "write", failing(BrokenPipeError()))
        append(store, "1")
    assert store.head().position == 1


def test_bell_that_another_process_removes_first_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(store.doorbell()):
        folder = store.side_folder.folder("bells")
        open_ = os.open

        def open_too_late(name: str, flags: int, *more: Any, **where: Any) -> int:
            if where.get("dir_fd") == folder:
                os.unlink(name, dir_fd=folder)
                raise OSError(errno.ENXIO, "nobody listens")
            return open_(name, flags, *more, **where)

        monkeypatch.setattr(os, "open", open_too_late)
        append(store, "1")
    assert store.head().position == 1


def test_commit_succeeds_if_the_folder_of_bells_is_writable_by_others(
    store: Store, path: str
) -> None:
    with closing(store.doorbell()):
        os.chmod(f"{store.side_folder.path}/bells", 0o777)
        other = open_store(path)
        append(other, "1")
        other.close()
    assert store.head().position == 1


def test_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="is a path that is not UTF-8"):
        open_store(str(tmp_path / "queue\udcff.db"))
    with pytest.raises(ForeignFile, match="cannot be read"):
        open_store(str(tmp_path / ("q" * 300)))


def test_file_that_sqlite_cannot_open_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(path, create=True).close()
    monkeypatch.setattr(apsw, "VFSFile", failing(apsw.CantOpenError("unable to open")))
    with pytest.raises(ForeignFile, match="cannot be read"):
        open_store(path)


def test_reader_without_shared_memory_does_not_ignore_the_wal(
    store: Store, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, "1")
    monkeypatch.setattr(apsw, "Connection", failing(apsw.ReadOnlyError("no -shm")))
    with pytest.raises(ReadOnly):
        open_store(path, readonly=True)


@pytest.mark.parametrize("exists", [False, True])
def test_network_file_system_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    if exists:
        open_store(path, create=True).close()
    for module in ("opening", "creating"):
        monkeypatch.setattr(f"eventstore.sqlite.{module}.network_file_system", lambda *_: "nfs4")
    with pytest.raises(ForeignFile, match="on nfs4, which several machines can share"):
        open_store(path, create=True)
    assert os.path.exists(path) == exists


def test_failed_creation_leaves_no_file(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(StorageFailed, match="could not be created"):
        open_store(path, create=True)
    assert list(tmp_path.iterdir()) == []


def test_writer_that_ignores_its_own_append_is_refused(store: Store) -> None:
    with pytest.raises(StreamConflict), store.write("anna@box") as tx:
        append_twice(tx)
    assert store.head().position == 0


def test_used_position_is_no_version_conflict(store: Store) -> None:
    with (
        pytest.raises(apsw.ConstraintError, match="only added at the end"),
        store.write("anna@box") as tx,
    ):
        append_behind_its_back(tx)
    assert store.head().position == 0


def log_of_one(hash_: str) -> SqliteReader:
    """Return a log with one record, whose hash is this SQL expression instead of a hash."""
    connection = apsw.Connection(":memory:")
    connection.execute(
        "CREATE TABLE events (position, stream, version, type, recorded_at, actor, batch, cause,"
        " data, hash)"
    )
    connection.execute(
        f"INSERT INTO events VALUES (1, '1', 1, 'x', 1, 'a', 1, NULL, '{{}}', {hash_})"
    )
    return SqliteReader(connection)


def test_invalid_hash_is_reported() -> None:
    with pytest.raises(ChainBroken, match="position 1: its hash is not valid"):
        log_of_one("'aa'").head()


def test_damage_outside_the_record_texts_is_reported() -> None:
    with pytest.raises(ChainBroken, match="position 0: it is not UTF-8"):
        list(log_of_one("CAST(x'ff' AS TEXT)").raw())
