"""Reading events by position and stream, in one snapshot of the log; and verifying the log."""

from collections.abc import Callable

import pytest

from eventstore.errors import ReadOnly
from eventstore.events.job import Claimed, Enqueued, FellDue, Succeeded
from eventstore.store import Head, RecordedOutput, Store, StoredOutput
from eventstore.verify import Verdict, verify
from tests.stores import EVERY_STORE

pytestmark = EVERY_STORE

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


def test_stored_outputs_are_compared_with_those_that_the_log_recorded(store: Store) -> None:
    ended = Succeeded(
        attempt=1, duration_us=1, output_bytes=6, kept_bytes=6, output_sha256="0" * 64
    )
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB, Claimed(attempt=1, worker="3f", slot=1), ended])
        tx.keep_output("1", 1, 6, b"stored")
        tx.keep_output("2", 1, 5, b"first")
        tx.keep_output("2", 1, 6, b"second")
    with store.read() as tx:
        recorded = RecordedOutput(3, "1", 1, 6, "0" * 64, 6, b"stored")
        assert list(tx.recorded_outputs()) == [recorded]
        assert list(tx.unrecorded_outputs()) == [("2", 1)]
        assert tx.output("2", 1) == StoredOutput(6, b"second")
