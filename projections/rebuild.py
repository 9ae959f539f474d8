"""Rebuilding the read models from the log while they are in use, or comparing them with a rebuild.

A rebuild fills shadow tables, in one transaction per slice of the log, so that writers can commit
between two slices. When a slice ends at the head of the log, its transaction also renames the
tables: readers see either the old or the new ones. See docs/decisions/0011.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

from eventstore.chain import GENESIS, RawRecord, first_break
from eventstore.codec import recorded_from
from eventstore.errors import ChainBroken
from eventstore.scratch import scratch
from eventstore.store import OnProgress, Reader, Store, Writer
from eventstore.tables import Table

from .read_model import Tables
from .registry import (
    CHECKPOINT,
    DEFINITION,
    LIVE,
    TABLES,
    Projector,
    checkpoint,
    ensure_checkpoint,
    schema,
)

SLICE = 1_000
"""Events per transaction while other processes write.

It takes about 7 ms, so their wait is short.
"""

SLICE_ALONE = 5_000
"""Events per transaction while no other process writes.

This is a fifth faster: most jobs begin and end in the same slice, so their rows are written once.
See docs/decisions/0011.
"""

ALONE_AFTER = 100
"""After this many slices (about a second) without new events, no other writer is assumed."""

DROPPED = 20_000
"""The most rows of a table that is dropped at once. No other process can write for 10 ms then."""

EMPTIED = 5_000
"""Rows to delete in one transaction from a larger old table."""

SHADOW: Tables = {name: f"{name}_shadow" for name in LIVE}
OLD: Tables = {name: f"{name}_old" for name in LIVE}

_STREAM, _VERSION = RawRecord._fields.index("stream"), RawRecord._fields.index("version")

_BY_NAME = {table.name: table for table in TABLES}


Contention = Literal["alone", "others"]
"""Whether other processes have written recently."""

Pause = Callable[[Contention], None]
"""Called between two transactions, so that waiting writers can commit."""


class Reached(NamedTuple):
    """Position and hash of the last event that was folded."""

    position: int
    hash: bytes


def rebuild(
    store: Store,
    *,
    on_progress: OnProgress = lambda _, __: None,
    pause: Pause = lambda _: None,
) -> int:
    """Fill shadow tables from the log, swap them in and drop the old ones.

    Return the position of the last event that was folded. After a crash at any point, either the
    old or the new tables are in use. Raises ChainBroken at a damaged record. The caller ensures
    that only one rebuild runs.
    """
    _clear(store, (*SHADOW.values(), *OLD.values()), pause)
    reached = Reached(0, GENESIS)
    with _maintenance(store) as tx:
        ensure_checkpoint(tx)
        generation = checkpoint(tx).generation + 1
        for statement in schema(tx.dialect, SHADOW, generation):
            tx.execute(statement)
        head = tx.head().position
    swapped = False
    quiet_slices = ALONE_AFTER
    while not swapped:
        contention: Contention = "alone" if quiet_slices >= ALONE_AFTER else "others"
        pause(contention)
        with _maintenance(store) as tx:
            before, head = head, tx.head().position
            quiet_slices = quiet_slices + 1 if head == before else 0
            limit = SLICE_ALONE if contention == "alone" else SLICE
            reached = fold_slice(tx, SHADOW, tx, reached, limit)
            if swapped := reached.position == head:
                _swap(tx, generation, head)
        on_progress(reached.position, head)
    _clear(store, _tables_with_suffix(store, "_old"), pause)
    return reached.position


def fold_slice(tx: Writer, tables: Tables, log: Reader, reached: Reached, limit: int) -> Reached:
    """Fold the next `limit` events of `log` after `reached` into `tables` of `tx`.

    Return the last event that was folded. Raises ChainBroken at a damaged record.
    """
    records = list(islice(log.records(after=reached.position), limit))
    if broken := first_break(records, reached.hash, reached.position):
        raise ChainBroken(*broken)
    born = {row[_STREAM] for row in records if row[_VERSION] == 1}
    projector = Projector(tx, tables)
    for stream in born:
        projector.mark_new(stream)
    projector.preload({row[_STREAM] for row in records if row[_VERSION] > 1} - born)
    projector.fold(map(recorded_from, records))
    projector.flush()
    return Reached(records[-1][0], records[-1][-1]) if records else reached


def _maintenance(store: Store) -> Any:
    """Return a write transaction that appends no events."""
    return store.write(actor="")


def _swap(tx: Writer, generation: int, head: int) -> None:
    """Rename the live tables to `_old` and the shadow tables to their live names."""
    existing = tx.tables()
    for table in dict.fromkeys((*_tables_of(checkpoint(tx).definition), *LIVE)):
        if table in existing:
            tx.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    for table, shadow in SHADOW.items():
        tx.execute(f"ALTER TABLE {shadow} RENAME TO {table}")
    tx.execute(
        "UPDATE checkpoint SET definition = :definition, generation = :generation,"
        " position = :position",
        {"definition": DEFINITION, "generation": generation, "position": head},
    )


def _tables_of(definition: str) -> list[str]:
    """Return the names of a file's tables, including those that this version no longer has."""
    return [part.partition("=")[0] for part in definition.split()]


def _tables_with_suffix(store: Store, suffix: str) -> tuple[str, ...]:
    with store.read() as tx:
        return tuple(name for name in tx.tables() if name.endswith(suffix))


def _clear(store: Store, tables: tuple[str, ...], pause: Pause) -> None:
    """Drop these tables. Delete the rows of a large one in slices first: a drop blocks writers."""
    for table in tables:
        while not _cleared(store, table):
            pause("others")


def _cleared(store: Store, table: str) -> bool:
    """Drop the table, or delete some of its rows if it is large. Return whether it is gone."""
    with _maintenance(store) as tx:
        columns = tx.tables().get(table)
        if columns is None:
            return True
        known = _BY_NAME.get(table.rpartition("_")[0])
        has_key = known is not None and {*known.key} <= {*columns}  # others may have changed it
        if known and has_key and tx.query(f"SELECT 1 FROM {table} LIMIT 1 OFFSET {DROPPED}"):
            key = ", ".join(known.key)
            tx.execute(
                f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT {EMPTIED})"
            )
            return False
        tx.execute(f"DROP TABLE {table}")
        return True


class Difference(NamedTuple):
    """A row that differs from a rebuild of the log."""

    table: str
    key: tuple[Any, ...]
    live: tuple[Any, ...] | None
    """The stored row; None if it is missing."""
    rebuilt: tuple[Any, ...] | None
    """The row according to the log; None if the log leads to no such row.

    If a whole table or a column is missing, this is ("the whole table",) or ("a column",), and the
    key is empty.
    """


def compare(store: Store, on_progress: OnProgress = lambda _, __: None) -> list[Difference]:
    """Return the rows of the live tables that differ from a rebuild, ordered by table and key.

    Writes nothing; workers can keep running. Raises ChainBroken at a damaged record.
    """
    with store.read() as live, scratch(schema) as rebuilt:
        head = live.head().position
        reached = Reached(0, GENESIS)
        while reached.position < head:
            reached = fold_slice(rebuilt, LIVE, live, reached, SLICE)
            on_progress(reached.position, head)
        existing = live.tables()
        differences = [
            difference
            for table in TABLES
            for difference in _differences(table, existing.get(table.name), live, rebuilt)
        ]
        if CHECKPOINT.name not in existing:
            differences.append(Difference("checkpoint", (), None, ("the whole table",)))
        elif (position := checkpoint(live).position) != head:
            differences.append(Difference("checkpoint", (), (position,), (head,)))
        return differences


def malformed_tables(live: Reader) -> list[str]:
    """Return the names of tables that are missing, or have other columns than this version."""
    existing = live.tables()
    return [table.name for table in TABLES if existing.get(table.name) != _columns(table)]


def _columns(table: Table) -> list[str]:
    return [*table.columns, *table.computed]


def _differences(
    table: Table, columns: list[str] | None, live: Reader, rebuilt: Reader
) -> Iterator[Difference]:
    """Compare the rows of both tables in one pass, in the order of their key.

    columns: of the live table; None if it is missing.
    """
    if columns != _columns(table):
        yield Difference(table.name, (), None, ("a column" if columns else "the whole table",))
        return
    width = len(table.key)
    sql = f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {', '.join(table.key)}"
    live_rows, rebuilt_rows = live.rows(sql), rebuilt.rows(sql)
    stored, expected = next(live_rows, None), next(rebuilt_rows, None)
    while stored is not None or expected is not None:
        if stored == expected:
            stored, expected = next(live_rows, None), next(rebuilt_rows, None)
            continue
        key = min(row[:width] for row in (stored, expected) if row is not None)
        in_live = stored if stored is not None and stored[:width] == key else None
        in_rebuilt = expected if expected is not None and expected[:width] == key else None
        yield Difference(table.name, key, in_live, in_rebuilt)
        stored = next(live_rows, None) if in_live else stored
        expected = next(rebuilt_rows, None) if in_rebuilt else expected
