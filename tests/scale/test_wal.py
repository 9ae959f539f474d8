"""The WAL stays small under load, and shrinks again after a reader that kept it from doing so."""

import threading
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from eventstore.events.job import Enqueued
from eventstore.location import open_store
from eventstore.store import Store
from tests.ctl import until

PAGE_BYTES = 4_096
USUAL_BYTES = 2 * 1_000 * (PAGE_BYTES + 24)
"""Twice the size of the 1,000 pages after which SQLite makes a checkpoint."""
LIMIT_BYTES = 64 << 20
JOB = Enqueued(command="x" * 2_000, max_retries=3, backoff_base=2.0)


def fill(store: Store, first: int, times: int, each: int = 1) -> None:
    """Commit `times` transactions of `each` jobs of about 2 kB, numbered from `first` on."""
    for number in range(first, first + times * each, each):
        with store.write("anna@box") as tx:
            for offset in range(each):
                tx.append(str(number + offset), 0, [JOB])


def wal_bytes(path: Path) -> int:
    """Return the size of the WAL in bytes."""
    return path.with_name(f"{path.name}-wal").stat().st_size


@pytest.mark.proof
def test_wal_stays_small_under_load(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    store = open_store(str(path), create=True)
    largest = 0
    for round_ in range(10):
        fill(store, 1 + round_ * 300, 300)
        largest = max(largest, wal_bytes(path))
    assert store.head().position == 3_000
    assert largest < USUAL_BYTES
    store.close()


@pytest.mark.proof
def test_wal_shrinks_after_a_long_reader_ends(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    store, reader = open_store(str(path), create=True), open_store(str(path), readonly=True)
    fill(store, 1, 1)
    with reader.read() as tx:
        head = tx.head()
        fill(store, 2, 100, each=400)
        assert wal_bytes(path) > LIMIT_BYTES
        assert tx.head() == head
    fill(store, 40_002, 5)
    assert wal_bytes(path) <= LIMIT_BYTES
    assert path.stat().st_size > LIMIT_BYTES
    reader.close()
    store.close()


@pytest.mark.proof
def test_wal_size_is_bounded_although_there_is_always_a_reader(tmp_path: Path) -> None:
    """SQLite restarts the WAL only at a commit during which no reader is active."""
    path = tmp_path / "queue.db"
    store = open_store(str(path), create=True)
    fill(store, 1, 1)
    stop = threading.Event()

    def read_in_turns() -> None:
        stores = [open_store(str(path), readonly=True) for _ in range(2)]
        before = ExitStack()
        for turn in count():
            reading = ExitStack()
            reading.enter_context(stores[turn % 2].read()).head()
            before.close()
            if stop.wait(0.02):
                break
            before = reading
        reading.close()
        for opened in stores:
            opened.close()

    reader = threading.Thread(target=read_in_turns)
    reader.start()
    numbers = count(2)

    def grown() -> bool | None:
        fill(store, 1_000 * next(numbers), 1, each=200)
        return wal_bytes(path) > LIMIT_BYTES or None

    def shrunk() -> bool | None:
        fill(store, 1_000 * next(numbers), 1)
        return wal_bytes(path) <= LIMIT_BYTES or None

    until(grown, "a WAL that is larger than the limit")
    until(shrunk, "the reset of the WAL, although there is always a reader")
    stop.set()
    reader.join()
    store.close()
