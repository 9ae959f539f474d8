"""The same events lead to the same hashes and the same tables in every store."""

from collections.abc import Callable, Iterator
from itertools import groupby

import pytest

from eventstore.events.recorded import Recorded
from eventstore.store import Log, Row
from eventstore.tables import Table
from projections.registry import ADVANCE, TABLES, Projector
from tests.simulation.world import World
from tests.stores import EVERY_STORE, ON_A_SERVER

NUMBERS = Table("numbers", {"name": "text", "n": "integer", "note": "text or null"}, key=("name",))
SUMS = Table("sums", {"name": "text", "n": "integer"}, key=("name",))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A queue file with all that workers, crashes and clients have recorded in it."""
    world = World(11)
    world.run(200)
    yield world
    world.close()


def copy(events: Iterator[Recorded], log: Log, batches: int) -> None:
    """Append events as they were recorded; fold some batches at a time, with one transaction each.

    So each statement gets many rows, and some of them the same key.
    """
    by_batch = [list(group) for _, group in groupby(events, lambda recorded: recorded.batch)]
    for first in range(0, len(by_batch), batches):
        for batch in by_batch[first : first + batches]:
            append(log, batch)
        with log.write("folding") as tx:
            projector = Projector(tx)
            projector.fold(
                recorded for batch in by_batch[first : first + batches] for recorded in batch
            )
            projector.flush()
            tx.execute(ADVANCE, {"position": tx.last[0]})


def append(log: Log, batch: list[Recorded]) -> None:
    with log.write(batch[0].actor) as tx:
        tx.now_us = batch[0].recorded_at_us
        for recorded in batch:
            tx.append(
                recorded.stream,
                recorded.version - 1,
                [recorded.event],
                cause=recorded.cause,
                actor=recorded.actor,
            )


def rows(log: Log, table: Table) -> list[Row]:
    with log.read() as tx:
        columns = ", ".join((*table.columns, *table.computed))
        return sorted(tx.query(f"SELECT {columns} FROM {table.name}"), key=repr)


OF_SERVERS = {"meta", "leases", "output_chunks", "follows"}
"""Tables that only a queue on a server has."""


@ON_A_SERVER
def test_same_events_have_the_same_head_and_lead_to_the_same_tables(
    opened: Callable[..., Log], world: World
) -> None:
    log = opened(create=True)
    with world.queue.store.read() as tx:
        copy(tx.events(), log, batches=5)
        with log.read() as copied:
            assert list(copied.records()) == list(tx.records())
            assert copied.tables().keys() - OF_SERVERS == tx.tables().keys() - {"last_use"}
    assert log.head() == world.queue.store.head()
    for table in TABLES:
        assert rows(log, table) == rows(world.queue.store, table), table.name


@EVERY_STORE
def test_rows_with_the_same_key_are_written_in_order(opened: Callable[..., Log]) -> None:
    log = opened(create=True)
    with log.write("anna@box") as tx:
        for table in (NUMBERS, SUMS):
            tx.execute(tx.dialect.create(table, table.name))
        tx.write(NUMBERS.insert(), [("a", 1, None), ("b", 1, "x")], "numbers")
        tx.write(NUMBERS.put(), [("c", 1, None), ("a", 2, "y"), ("a", 3, None)], "numbers")
        tx.write(NUMBERS.update("name", "n"), [("b", 5), ("b", 4), ("none", 1)], "numbers")
        tx.write(NUMBERS.delete(), [("c",), ("c",)], "numbers")
        tx.write(SUMS.add(), [("a", 1), ("a", 2), ("b", 3)], "sums")
        tx.write(SUMS.add(), [("a", 4), ("b", -3)], "sums")
        tx.write(SUMS.raise_(), [("b", 9), ("b", 2), ("c", 2), ("c", 1)], "sums")
    assert rows(log, NUMBERS) == [("a", 3, None), ("b", 4, "x")]
    assert rows(log, SUMS) == [("a", 7), ("b", 9), ("c", 2)]
