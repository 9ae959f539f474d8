"""Reading events by position and stream, in one snapshot of the log; and verifying the log."""

import os
from collections.abc import Callable
from tempfile import TemporaryDirectory

import pytest

from eventstore.errors import ChainBroken, ReadOnly, StorageFailed
from eventstore.events.job import Enqueued, FellDue
from eventstore.location import open_store
from eventstore.store import Head, Store
from eventstore.verify import Verdict, verify
from tests.machine import BECOMES_OTHER_USER, OTHER_USER
from tests.stranger import stranger, tamper

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with two streams of three events each, appended alternately."""
    for version in range(3):
        with store.write("anna@box") as tx:
            for stream in ("1", "2"):
                tx.append(stream, version, [FellDue() if version else JOB])
    return store


def positions(store: Store, **options: object) -> list[int]:
    with store.read() as tx:
        return [recorded.position for recorded in tx.events(**options)]  # type: ignore[arg-type]


def verdict(store: Store, expected: Head | None = None) -> Verdict:
    with store.read() as tx:
        return verify(tx, expected)


def test_events_come_in_order_from_a_position(filled: Store) -> None:
    assert positions(filled) == [1, 2, 3, 4, 5, 6]
    assert positions(filled, after=4) == [5, 6]
    assert positions(filled, after=1, upto=3) == [2, 3]
    assert positions(filled, stream="2") == [2, 4, 6]
    assert positions(filled, stream="2", after=2) == [4, 6]
    assert positions(filled, stream="3") == []


def test_reader_sees_one_state_while_others_write(
    filled: Store, opened: Callable[..., Store]
) -> None:
    reader = opened(readonly=True)
    with reader.read() as tx:
        before = tx.head()
        with filled.write("anna@box") as writing:
            writing.append("3", 0, [JOB])
        assert tx.head() == before
    assert reader.head().position == 7


def test_reader_cannot_write(filled: Store, opened: Callable[..., Store]) -> None:
    reader = opened(readonly=True)
    with pytest.raises(ReadOnly), reader.write("eve"):
        pass


def test_unchanged_log_is_verified(filled: Store) -> None:
    result = verdict(filled, filled.head())
    assert result.sound
    assert (result.records, result.broken, result.missing_guards) == (6, None, ())


def test_log_contains_an_earlier_head(store: Store) -> None:
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB])
    earlier = store.head()
    with store.write("anna@box") as tx:
        tx.append("2", 0, [JOB])
    assert verdict(store, earlier).sound


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
