"""Other programs change, damage, delete or read the queue file."""

import os
from collections.abc import Callable
from tempfile import TemporaryDirectory

import apsw
import pytest

from eventstore.errors import ChainBroken, Gone, StorageFailed
from eventstore.events.job import Enqueued, FellDue, Requeued
from eventstore.location import open_store
from eventstore.store import Head, Store
from eventstore.verify import Verdict, verify
from tests.machine import BECOMES_OTHER_USER, OTHER_USER
from tests.stranger import Refused, stranger, tamper

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with two streams of three events each, appended alternately."""
    for version in range(3):
        with store.write("anna@box") as tx:
            for stream in ("1", "2"):
                tx.append(stream, version, [FellDue() if version else JOB])
    return store


def append(store: Store, stream: str = "1", version: int = 0, times: int = 1) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, version, [JOB] * times)


def positions(store: Store) -> list[int]:
    with store.read() as tx:
        return [recorded.position for recorded in tx.events()]


def verdict(store: Store, expected: Head | None = None) -> Verdict:
    with store.read() as tx:
        return verify(tx, expected)


@pytest.mark.parametrize("replaced", [False, True])
def test_deleted_or_replaced_file_is_not_written_to(
    store: Store, path: str, replaced: bool
) -> None:
    append(store)
    os.unlink(path)
    if replaced:
        open_store(f"{path}.other", create=True).close()
        os.rename(f"{path}.other", path)
    size = os.path.getsize(f"{path}-wal")
    with pytest.raises(Gone, match="was deleted or replaced"):
        append(store, "2")
    assert os.path.getsize(f"{path}-wal") == size


def test_pythons_sqlite3_reads_the_log(store: Store, path: str) -> None:
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB])
        tx.append("1", 1, [Requeued(why="dlq", reason="übung")])
    assert stranger(path, "SELECT type, data FROM events ORDER BY position") == [
        ["enqueued", '{"command":"true","max_retries":3,"backoff_base":2.0}'],
        ["requeued", '{"why":"dlq","reason":"übung"}'],
    ]
    assert stranger(path, "PRAGMA integrity_check") == [["ok"]]


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE events SET actor = 'eve' WHERE position = 3", 3),
        ('UPDATE events SET data = \'{"command":"rm"}\' WHERE position = 1', 1),
        ("DELETE FROM events WHERE position = 4", 4),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 6", 6),
        ("UPDATE events SET recorded_at = 1 WHERE position = 2", 2),
    ],
)
def test_change_is_reported_even_with_all_triggers_in_place(
    filled: Store, path: str, statement: str, position: int
) -> None:
    tamper(path, statement)
    result = verdict(filled)
    assert not result.sound
    assert result.broken is not None
    assert result.broken.position == position


def test_missing_trigger_is_reported(filled: Store, path: str) -> None:
    stranger(path, "DROP TRIGGER events_never_change")
    assert verdict(filled).missing_guards == ("events_never_change",)


def test_missing_tail_is_detected_by_a_head_kept_elsewhere(filled: Store, path: str) -> None:
    kept = filled.head()
    tamper(path, "DELETE FROM events WHERE position > 4")
    assert verdict(filled).sound
    result = verdict(filled, kept)
    assert not result.sound
    assert result.contradicts


def test_event_that_cannot_be_read_stops_the_reader(filled: Store, path: str) -> None:
    tamper(path, "UPDATE events SET data = '{' WHERE position = 3")
    with pytest.raises(ChainBroken, match="damaged at position 3"):
        positions(filled)


def test_damaged_page_is_reported(path: str) -> None:
    store = open_store(path, create=True)
    with store.write("anna@box") as tx:
        for n in range(2000):
            tx.append(str(n), 0, [JOB])
    store.close()
    with open(path, "r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 40)
    reader = open_store(path, readonly=True)
    with pytest.raises(StorageFailed, match="damaged"):
        positions(reader)
    broken = verdict(reader).broken
    assert broken is not None
    assert 1 < broken.position < 2000
    assert "the file is damaged here" in broken.what
    reader.close()


def test_queue_in_a_read_only_folder_can_be_read() -> None:
    with TemporaryDirectory(dir="/tmp") as folder:
        path = f"{folder}/queue.db"
        store = open_store(path, create=True)
        with store.write("anna@box") as tx:
            tx.append("1", 0, [JOB])
        store.close()
        if BECOMES_OTHER_USER:  # modes do not stop root
            os.chown(path, OTHER_USER, OTHER_USER)
        os.chmod(folder, 0o555)
        assert in_child_as_nobody(lambda: positions(open_store(path, readonly=True)) == [1])
        assert os.listdir(folder) == ["queue.db"]
        os.chmod(folder, 0o755)


def in_child_as_nobody(check: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        if BECOMES_OTHER_USER:
            os.setuid(OTHER_USER)
        os._exit(0 if check() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'eve'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 1",
        "INSERT INTO events SELECT 9, 'x', 1, type, 1, '', 9, NULL, '{}', hash FROM events LIMIT 1",
    ],
)
def test_no_sql_statement_can_change_the_log(store: Store, path: str, statement: str) -> None:
    append(store, times=1)
    with pytest.raises(Refused, match="IntegrityError: events are"):
        stranger(path, statement)
    with (
        pytest.raises(apsw.ConstraintError, match="events are"),
        store.write("eve") as tx,
    ):
        tx.execute(statement)
