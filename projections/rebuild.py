"""Rebuilding the read models from the log while they are in use, or comparing them with a rebuild.

A rebuild fills shadow tables, in one transaction per slice of the log, so that writers can commit
between two slices. When a slice ends at the head of the log, its transaction also renames the
tables: readers see either the old or the new ones. If the queue is on a server, most of the log is
folded on this machine first, without any lock, and the tables are copied to the server; the slices
fold only the rest. See docs/decisions/0011 and 0021.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, NamedTuple

from eventstore.chain import GENESIS, RawRecord, first_break
from eventstore.codec import recorded_from
from eventstore.errors import Busy, ChainBroken
from eventstore.scratch import scratch
from eventstore.store import Log, OnProgress, Reader, Row, Writer
from eventstore.tables import Table

from .errors import RebuildOvertaken
from .read_model import Tables
from .registry import (
    ADVANCE,
    CHECKPOINT,
    DEFINITION,
    LIVE,
    TABLES,
    Projector,
    checkpoint,
    ensure_checkpoint,
    first_schema,
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

SLICE_DISTANT = 300
"""Events per transaction on a server, where folding takes twenty times as long.

Most of the log has been folded on this machine before.
"""

ALONE_AFTER = 100
"""After this many slices (about a second) without new events, no other writer is assumed."""

DROPPED = 20_000
"""The most rows of a table that is dropped at once. No other process can write for 10 ms then."""

EMPTIED = 5_000
"""Rows to delete in one transaction from a larger old table."""

COPIED = 2_000
"""Rows to copy to a server in one transaction."""

RENAMING_TRIES = 60
"""How often to try to rename the tables, about once a second, while other processes read them."""

SHADOW: Tables = {name: f"{name}_shadow" for name in LIVE}
OLD: Tables = {name: f"{name}_old" for name in LIVE}

_STREAM, _VERSION = RawRecord._fields.index("stream"), RawRecord._fields.index("version")

_BY_NAME = {table.name: table for table in TABLES}


Contention = Literal["alone", "others", "readers"]
"""Whether other processes have written recently. `readers`: they still read the old tables."""

Pause = Callable[[Contention], None]
"""Called between two transactions, so that waiting processes can go on."""


class Reached(NamedTuple):
    """Position and hash of the last event that was folded."""

    position: int
    hash: bytes


START = Reached(0, GENESIS)


def rebuild(
    store: Log,
    *,
    on_progress: OnProgress = lambda _, __: None,
    pause: Pause = lambda _: None,
) -> int:
    """Fill shadow tables from the log, swap them in and drop the old ones.

    Return the position of the last event that was folded. After a crash at any point, either the
    old or the new tables are in use. Raises ChainBroken at a damaged record, Busy if other
    processes read the old tables all the time, and RebuildOvertaken if another rebuild has begun:
    the caller ensures that only one runs.
    """
    _clear(store, (*SHADOW.values(), *OLD.values()), pause)
    generation, head = _begin(store)
    reached = _copied(store, generation, on_progress, pause) if store.distant else START
    swapped, tries = False, 0
    quiet_slices = ALONE_AFTER
    while not swapped:
        contention: Contention = "alone" if quiet_slices >= ALONE_AFTER else "others"
        pause("readers" if tries else contention)
        with _slice(store, generation) as tx:
            before, head = head, tx.head().position
            quiet_slices = quiet_slices + 1 if head == before else 0
            reached = fold_slice(tx, SHADOW, tx, reached, _limit(store, contention))
            if at_head := reached.position == head:
                swapped = _swap(tx, head)
        on_progress(reached.position, head)
        tries += at_head
        if not swapped and tries == RENAMING_TRIES:
            raise Busy(store.label, tries, "readers", "end long queries and dumps")
    _clear(store, _tables_with_suffix(store, "_old"), pause)
    return reached.position


def _limit(store: Log, contention: Contention) -> int:
    """Return how many events to fold in one transaction."""
    if store.distant:
        return SLICE_DISTANT
    return SLICE_ALONE if contention == "alone" else SLICE


def _begin(store: Log) -> tuple[int, int]:
    """Create the shadow tables. Return the generation of this rebuild, and the end of the log."""
    with store.maintain() as tx:
        ensure_checkpoint(tx)
        generation = checkpoint(tx).generation + 1
        tx.execute("UPDATE checkpoint SET generation = :generation", {"generation": generation})
        for statement in schema(tx.dialect, SHADOW, generation):
            tx.execute(statement)
        return generation, tx.head().position


@contextmanager
def _slice(store: Log, generation: int) -> Iterator[Writer]:
    """Return a write transaction that appends no events.

    Raises RebuildOvertaken if another rebuild has begun: the shadow tables are its own now.
    """
    with store.maintain() as tx:
        if checkpoint(tx).generation != generation:
            raise RebuildOvertaken()
        yield tx


def _copied(store: Log, generation: int, on_progress: OnProgress, pause: Pause) -> Reached:
    """Fold the log in a database of this machine, and copy its tables into the shadow tables."""
    with scratch(schema) as rebuilt:
        reached = fold_pages(store, rebuilt, lambda done, of: on_progress(done, 2 * of))
        tables = [table.name for table in TABLES]
        amount = sum(rebuilt.query(f"SELECT count(*) FROM {name}")[0][0] for name in tables)
        copied = 0
        pause("alone")  # the next one is proportional to the time since this one
        for table in TABLES:
            rows = rebuilt.rows(f"SELECT {table.listed} FROM {table.name}")
            while page := list(islice(rows, COPIED)):
                pause("others")
                with _slice(store, generation) as tx:
                    tx.fill(SHADOW[table.name], tuple(table.columns), page)
                copied += len(page)
                on_progress(amount + copied, 2 * amount)
            with _slice(store, generation) as tx:
                tx.execute(f"ANALYZE {SHADOW[table.name]}")  # else the server plans without figures
    return reached


def fold_pages(log: Log, rebuilt: Writer, on_progress: OnProgress = lambda _, __: None) -> Reached:
    """Fold the log, up to its end at the beginning, into the tables of another database.

    Return the last event that was folded. Each page has its own short snapshot: a long one would
    keep a server from removing old rows, and a file from resetting its WAL.
    """
    reached, end = START, log.head().position
    while reached.position < end:
        with log.read() as tx:
            records = _page(tx, reached, SLICE_ALONE)
        if not records:  # a server went back to an older state
            return reached
        reached = _fold(rebuilt, LIVE, records, reached)
        on_progress(reached.position, end)
    return reached


def fold_slice(tx: Writer, tables: Tables, log: Reader, reached: Reached, limit: int) -> Reached:
    """Fold the next `limit` events of `log` after `reached` into `tables` of `tx`.

    Return the last event that was folded. Raises ChainBroken at a damaged record.
    """
    return _fold(tx, tables, _page(log, reached, limit), reached)


def _page(log: Reader, reached: Reached, limit: int) -> list[Row]:
    return list(islice(log.records(after=reached.position), limit))


def _fold(tx: Writer, tables: Tables, records: list[Row], reached: Reached) -> Reached:
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


def _swap(tx: Writer, head: int) -> bool:
    """Rename the live tables to `_old` and the shadow tables to their live names.

    Return False if other processes still read the live tables: then nothing has changed.
    """
    existing = tx.tables()
    used = dict.fromkeys((*_tables_of(checkpoint(tx).definition), *LIVE))
    old = {table: f"{table}_old" for table in used if table in existing}
    if not tx.rename({**old, **{shadow: table for table, shadow in SHADOW.items()}}):
        return False
    tx.execute(
        "UPDATE checkpoint SET definition = :definition, position = :position",
        {"definition": DEFINITION, "position": head},
    )
    return True


def _tables_of(definition: str) -> list[str]:
    """Return the names of a file's tables, including those that this version no longer has."""
    return [part.partition("=")[0] for part in definition.split()]


def _tables_with_suffix(store: Log, suffix: str) -> tuple[str, ...]:
    with store.read() as tx:
        return tuple(name for name in tx.tables() if name.endswith(suffix))


def _clear(store: Log, tables: tuple[str, ...], pause: Pause) -> None:
    """Drop these tables.

    In a file, delete the rows of a large one in slices first: there, a drop blocks writers.
    """
    for table in tables:
        while not _cleared(store, table):
            pause("others")


def _cleared(store: Log, table: str) -> bool:
    """Drop the table, or delete some of its rows if it is large. Return whether it is gone."""
    with store.maintain() as tx:
        columns = tx.tables().get(table)
        if columns is None:
            return True
        known = _BY_NAME.get(table.rpartition("_")[0])
        has_key = known is not None and {*known.key} <= {*columns}  # others may have changed it
        slow = known is not None and has_key and not store.distant
        if slow and tx.query(f"SELECT 1 FROM {table} LIMIT 1 OFFSET {DROPPED}"):
            assert known is not None
            key = ", ".join(known.key)
            tx.execute(
                f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} LIMIT {EMPTIED})"
            )
            return False
        tx.execute(f"DROP TABLE {table}")
        return True


def catch_up(store: Log, on_progress: OnProgress = lambda _, __: None) -> None:
    """Fold what the live tables lack of the log, in a queue to which nobody else writes.

    If the tables are missing, they are created. Raises ChainBroken at a damaged record.
    """
    with store.write(actor="") as tx:
        if CHECKPOINT.name not in tx.tables():
            for statement in first_schema(tx.dialect):
                tx.execute(statement)
        end = tx.head().position
        position = checkpoint(tx).position
    while position < end:
        with store.write(actor="") as tx:
            reached = Reached(position, bytes.fromhex(tx.hash_at(position) or GENESIS.hex()))
            position = fold_slice(tx, LIVE, tx, reached, SLICE_ALONE).position
            tx.execute(ADVANCE, {"position": position})
        on_progress(position, end)


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


def compare(store: Log, on_progress: OnProgress = lambda _, __: None) -> list[Difference]:
    """Return the rows of the live tables that differ from a rebuild, ordered by table and key.

    Writes nothing; workers can keep running. Raises ChainBroken at a damaged record.
    """
    with scratch(schema) as rebuilt:
        reached = fold_pages(store, rebuilt, on_progress)
        with store.read() as live:
            return _compared(live, rebuilt, reached)


def _compared(live: Reader, rebuilt: Writer, reached: Reached) -> list[Difference]:
    """Fold the rest of the snapshot's log, so that both have the same events, and compare."""
    head = live.head().position
    while reached.position < head:
        reached = fold_slice(rebuilt, LIVE, live, reached, SLICE)
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
