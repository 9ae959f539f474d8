"""Reading events by position and stream, in one snapshot of the log; and verifying the log."""

from collections.abc import Callable

import pytest

from eventstore.errors import ReadOnly
from eventstore.events.job import Enqueued, FellDue
from eventstore.store import Head, Store
from eventstore.verify import Verdict, verify

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
