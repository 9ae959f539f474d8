"""Appending: with a version check, all or nothing, at the time of the store's clock."""

import threading
import time
from collections.abc import Callable

import pytest

from eventstore.chain import first_break
from eventstore.errors import ChainBroken, StreamConflict
from eventstore.events.job import Claimed, Enqueued, Succeeded
from eventstore.store import Store, Writer
from tests.stores import EVERY_STORE

pytestmark = EVERY_STORE

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)
CLAIMED = Claimed(attempt=1, worker="3f", slot=1)


def append(store: Store, stream: str = "1", version: int = 0, times: int = 1) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, version, [JOB] * times)


def append_both(tx: Writer, version: int) -> None:
    tx.append("2", 0, [JOB])
    tx.append("1", version, [CLAIMED])


def test_events_are_stored_at_the_places_that_append_returns(store: Store) -> None:
    with store.write("anna@box") as tx:
        first = tx.append("1", 0, [JOB, CLAIMED])
        second = tx.append("2", 0, [JOB])
    with store.read() as tx:
        assert list(tx.events()) == [*first, *second]
    places = [
        (recorded.position, recorded.stream, recorded.version, recorded.batch, recorded.cause)
        for recorded in first
    ]
    assert places == [(1, "1", 1, 1, None), (2, "1", 2, 1, 1)]
    assert (second[0].position, second[0].version, second[0].batch) == (3, 1, 1)


def test_stream_grows_after_its_records_were_inserted(store: Store) -> None:
    with store.write("anna@box") as tx:
        tx.append("1", 0, [JOB])
        assert tx.head().position == 1  # inserts the buffered records
        tx.append("1", 1, [CLAIMED])
    assert store.head().position == 2


def test_next_append_is_another_batch(store: Store) -> None:
    append(store, "1")
    append(store, "2")
    with store.read() as tx:
        assert [recorded.batch for recorded in tx.events()] == [1, 2]


@pytest.mark.parametrize("version", [0, 2])
def test_writer_that_expects_another_version_is_refused(store: Store, version: int) -> None:
    append(store)
    with (
        pytest.raises(StreamConflict, match=f"stream 1 is at version 1, not {version}"),
        store.write("anna@box") as tx,
    ):
        append_both(tx, version)
    assert store.head().position == 1


def test_conflict_names_a_stream_with_spaces(store: Store) -> None:
    append(store, "100 % done")
    with (
        pytest.raises(StreamConflict, match="stream 100 % done is at version 1, not 0"),
        store.write("anna@box") as tx,
    ):
        tx.append("100 % done", 0, [JOB])


def test_exception_in_the_block_writes_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write("anna@box") as tx:
        raise ZeroDivisionError(tx.append("1", 0, [JOB]))
    assert store.head().position == 0
    append(store)
    assert store.head().position == 1


def test_records_have_the_time_of_the_stores_clock(opened: Callable[..., Store]) -> None:
    store = opened(create=True, wall_us=lambda: 1_700)
    append(store)
    with store.read() as tx:
        assert [recorded.recorded_at_us for recorded in tx.events()] == [1_700]


def test_time_spent_waiting_for_the_lock_counts(opened: Callable[..., Store]) -> None:
    times_us = [1_000]
    store = opened(create=True, wall_us=lambda: times_us[-1])
    second = threading.Thread(target=lambda: append(opened(wall_us=lambda: times_us[-1]), "2"))
    with store.write("anna@box") as tx:
        second.start()
        time.sleep(0.05)  # the second writer waits
        times_us.append(2_000)
        tx.append("1", 0, [JOB])
        assert tx.now_us == 1_000
    second.join()
    with store.read() as tx:
        assert [recorded.recorded_at_us for recorded in tx.events()] == [1_000, 2_000]


def test_many_writers_leave_one_log_without_gaps(
    store: Store, opened: Callable[..., Store]
) -> None:
    def write(name: str) -> None:
        mine = opened()
        for version in range(25):
            with mine.write(name) as tx:
                tx.append(name, version, [JOB])

    writers = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with store.read() as tx:
        records = list(tx.raw())
    assert [record.position for record in records] == list(range(1, 201))
    assert first_break(records) is None


def test_event_that_could_not_be_decoded_is_not_written(store: Store) -> None:
    append(store)
    with pytest.raises(ChainBroken, match="duration_us"), store.write("anna@box") as tx:
        tx.append("1", 1, [CLAIMED, Succeeded(attempt=1, duration_us=-1)])
    assert store.head().position == 1


def test_actor_with_a_line_feed_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="line feed"), store.write("anna\nbob") as tx:
        tx.append("1", 0, [JOB])
    assert store.head().position == 0
