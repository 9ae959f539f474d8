"""The meaning of a failed commit: a full disk is a refusal; an I/O error alone is not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from eventstore.chain import first_break
from eventstore.errors import Busy, Full, OutcomeUnknown, StorageFailed, StreamConflict
from eventstore.events.job import Enqueued
from eventstore.location import open_store
from eventstore.sqlite.log import SqliteStore
from eventstore.store import Store
from tests.faults.storage import Disk, failing_disk

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with failing_disk() as disk:
        yield disk


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "queue.db"), create=True)
    append(opened, "1")
    yield opened
    disk.fault = lambda operation, name: None
    opened.close()


def append(store: Store, stream: str) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, 0, [JOB])


def streams(store: Store) -> list[str]:
    with store.read() as tx:
        assert first_break(tx.raw()) is None
        return [recorded.stream for recorded in tx.events()]


def test_full_disk_is_a_refusal(disk: Disk, store: Store) -> None:
    disk.fault = lambda operation, name: apsw.FullError if operation == "write" else None
    with pytest.raises(Full, match="nothing was written"):
        append(store, "2")
    disk.fault = lambda operation, name: None
    assert streams(store) == ["1"]
    append(store, "3")
    assert streams(store) == ["1", "3"]


def test_sync_that_always_fails_leaves_the_outcome_unknown(disk: Disk, store: Store) -> None:
    disk.fault = lambda operation, name: apsw.IOError if operation == "sync" else None
    with pytest.raises(OutcomeUnknown, match=r"while position 2 of .* was recorded"):
        append(store, "2")


def test_sync_that_fails_once_is_a_success_after_a_synced_checkpoint(
    disk: Disk, store: Store
) -> None:
    failed: list[str] = []

    def once(operation: str, name: str) -> type[apsw.Error] | None:
        if operation == "sync" and not failed:
            failed.append(name)
            return apsw.IOError
        return None

    disk.fault = once
    try:
        append(store, "2")
        assert streams(store) == ["1", "2"]
    except OutcomeUnknown:
        # SQLite recovered the frames when it reopened the file: the refusal must not deny them.
        assert streams(store) in (["1"], ["1", "2"])
    assert failed
    assert failed[0].endswith("-wal")


def test_failed_write_is_not_reported_as_success(disk: Disk, store: Store) -> None:
    disk.fault = lambda operation, name: apsw.IOError if operation == "write" else None
    with pytest.raises(OutcomeUnknown):
        append(store, "2")
    disk.fault = lambda operation, name: None
    append(store, "3")
    assert "3" in streams(store)


@pytest.mark.parametrize("number", range(1, 12))
def test_failed_creation_of_a_queue_leaves_no_files(
    disk: Disk, tmp_path: Path, number: int
) -> None:
    seen: list[str] = []

    def at(operation: str, name: str) -> type[apsw.Error] | None:
        seen.append(operation)
        return apsw.IOError if len(seen) == number else None

    disk.fault = at
    with pytest.raises(StorageFailed):
        open_store(str(tmp_path / "new.db"), create=True)
    assert list(tmp_path.glob("new.db*")) == []


def test_lock_conflict_at_the_commit_is_a_refusal(disk: Disk, store: Store) -> None:
    disk.fault = lambda operation, name: apsw.BusyError if operation == "write" else None
    with pytest.raises(Busy):
        append(store, "2")
    disk.fault = lambda operation, name: None
    assert streams(store) == ["1"]


def test_commit_without_events_that_fails_is_a_failure(disk: Disk, store: Store) -> None:
    disk.fault = lambda operation, name: apsw.IOError if operation == "write" else None
    with pytest.raises(StorageFailed), store.write("anna@box") as tx:
        tx.execute("INSERT INTO outputs VALUES ('1', 1, 0, NULL)")


class Unlucky:
    """A connection whose commit fails with an I/O error, and the writes of others after it."""

    def __init__(self, connection: apsw.Connection, meanwhile: Callable[[], None]) -> None:
        self._connection, self._meanwhile = connection, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, bindings: Any = ()) -> apsw.Cursor:
        if sql == "COMMIT":
            raise apsw.IOError("disk I/O error")
        return self._connection.execute(sql, bindings)

    def close(self) -> None:
        self._connection.close()
        self._meanwhile()


@pytest.mark.parametrize(("stream", "refused"), [("2", False), ("3", True)])
def test_the_record_at_its_position_decides_whether_a_failed_commit_is_recorded(
    tmp_path: Path, stream: str, refused: bool
) -> None:
    """Its own record and a checkpoint: recorded. Another record: refused, for good."""
    path = str(tmp_path / "queue.db")
    open_store(path, create=True).close()
    store = SqliteStore(path, wall_us=lambda: 1)
    append(store, "1")

    def meanwhile() -> None:
        other = open_store(path, wall_us=lambda: 1)
        append(other, stream)
        other.close()

    store._open_connection = Unlucky(store._connection, meanwhile)  # type: ignore[assignment]
    if refused:
        with pytest.raises(StreamConflict):
            append(store, "2")
    else:
        append(store, "2")
    assert streams(store) == ["1", stream]
    store.close()
