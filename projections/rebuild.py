"""Read models thrown away and made anew from the log, beside the live ones; or only compared."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

from eventstore.chain import GENESIS, RawRecord, first_break
from eventstore.errors import ChainBroken
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.reader import SqliteReader, recorded_from
from eventstore.sqlite.temporary import scratch
from eventstore.sqlite.transaction import SqliteTransaction
from eventstore.store import OnProgress

from .read_model import ReadModel, Tables
from .registry import (
    DEFINITION,
    LIVE,
    READ_MODELS,
    TABLES,
    Projector,
    checkpoint,
    ensure_checkpoint,
    schema,
)

SLICE = 1_000
"""Events folded in one transaction while others write: some 7 ms, so that they hardly wait."""

SLICE_ALONE = 5_000
"""The same while nobody does: a fifth faster, for jobs are begun and ended in one slice."""

ALONE_AFTER = 100
"""Slices without somebody else's events, a second or so, after which nobody is there."""

EMPTIED = 5_000
"""Rows of an old table deleted in one transaction."""

SHADOW: Tables = {name: f"{name}_shadow" for name in TABLES}
OLD: Tables = {name: f"{name}_old" for name in TABLES}

_STREAM, _VERSION = RawRecord._fields.index("stream"), RawRecord._fields.index("version")

_MODELS = {model.table: model for model in READ_MODELS if model.table}


Company = Literal["alone", "others"]
"""Whether somebody else has written lately."""

Pause = Callable[[Company], None]


class Reached(NamedTuple):
    """The last event carried over."""

    position: int
    hash: bytes


def rebuild(
    store: SqliteStore,
    *,
    on_progress: OnProgress = lambda _, __: None,
    pause: Pause = lambda _: None,
) -> int:
    """Fill shadow tables from the log, swap them in, empty the old. Returns the position reached.

    pause: called between two transactions, to let waiting writers go first. A crash at any point
    leaves the old tables serving, or the new. Raises ChainBroken at a record that is not what was
    written. The caller sees to it that only one rebuild runs.
    """
    _clear(store, (*SHADOW.values(), *OLD.values()), pause)
    reached = Reached(0, GENESIS)
    with _maintenance(store) as tx:
        ensure_checkpoint(tx)
        generation = checkpoint(tx).generation + 1
        for statement in schema(SHADOW, generation):
            tx.execute(statement)
        head = tx.head().position
    swapped = False
    quiet = ALONE_AFTER
    while not swapped:
        company: Company = "alone" if quiet >= ALONE_AFTER else "others"
        pause(company)
        with _maintenance(store) as tx:
            before, head = head, tx.head().position
            quiet = quiet + 1 if head == before else 0
            limit = SLICE_ALONE if company == "alone" else SLICE
            reached = carry(tx, SHADOW, tx, reached, limit)
            if swapped := reached.position == head:
                _swap(tx, generation, head)
        on_progress(reached.position, head)
    _clear(store, _standing(store, "_old"), pause)
    return reached.position


def carry(
    tx: SqliteTransaction, tables: Tables, log: SqliteReader, reached: Reached, limit: int
) -> Reached:
    """Fold the next `limit` events of `log` after `reached` into `tables` of `tx`."""
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


def _maintenance(store: SqliteStore) -> Any:
    """A write transaction that appends nothing."""
    return store.write(actor="", at_us=0)


def _swap(tx: SqliteTransaction, generation: int, head: int) -> None:
    """Old names aside, new ones in place: readers see the one or the other."""
    for table in dict.fromkeys((*_tables_of(checkpoint(tx).definition), *TABLES)):
        if _exists(tx, table):
            tx.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    for table, shadow in SHADOW.items():
        tx.execute(f"ALTER TABLE {shadow} RENAME TO {table}")
    tx.execute(
        "UPDATE checkpoint SET definition = ?, generation = ?, position = ?",
        (DEFINITION, generation, head),
    )


def _tables_of(definition: str) -> list[str]:
    """The tables of a file, also of read models that this version no longer has."""
    return [part.partition("=")[0] for part in definition.split()]


def _exists(tx: SqliteReader, table: str) -> bool:
    return bool(tx.query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)))


def _standing(store: SqliteStore, ending: str) -> tuple[str, ...]:
    with store.read() as tx:
        rows = tx.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return tuple(name for (name,) in rows if name.endswith(ending))


def _clear(store: SqliteStore, tables: tuple[str, ...], pause: Pause) -> None:
    """Empty tables in slices, then drop them: dropping a full one would hold everybody up."""
    for table in tables:
        while not _cleared(store, table):
            pause("others")


def _cleared(store: SqliteStore, table: str) -> bool:
    with _maintenance(store) as tx:
        if not _exists(tx, table):
            return True
        model = _MODELS.get(table.rpartition("_")[0])
        if model and tx.query(f"SELECT 1 FROM {table} LIMIT 1"):
            tx.execute(
                f"DELETE FROM {table} WHERE ({model.key}) IN"
                f" (SELECT {model.key} FROM {table} LIMIT {EMPTIED})"
            )
            return False
        tx.execute(f"DROP TABLE {table}")
        return True


class Difference(NamedTuple):
    """A row that a rebuild would write otherwise."""

    table: str
    key: tuple[Any, ...]
    live: tuple[Any, ...] | None
    """The row as it stands; null where it is missing."""
    rebuilt: tuple[Any, ...] | None
    """The row as the log has it; null where there should be none.

    Where a whole table or a column is missing, that is said here, and the key is empty.
    """


def compare(store: SqliteStore, on_progress: OnProgress = lambda _, __: None) -> list[Difference]:
    """What of the live tables differs from a rebuild of the same log, row by row, by table and key.

    Writes nothing; workers go on. Raises ChainBroken as `rebuild`.
    """
    with store.read() as live, scratch(schema()) as rebuilt:
        head = live.head().position
        reached = Reached(0, GENESIS)
        while reached.position < head:
            reached = carry(rebuilt, LIVE, live, reached, SLICE)
            on_progress(reached.position, head)
        differences = [
            difference
            for model in _MODELS.values()
            for difference in _differences(model, live, rebuilt)
        ]
        if not _exists(live, "checkpoint"):
            differences.append(Difference("checkpoint", (), None, ("the whole table",)))
        elif (found := checkpoint(live)).position != head:
            differences.append(Difference("checkpoint", (), (found.position,), (head,)))
        return differences


def malformed_tables(live: SqliteReader) -> list[str]:
    """The tables that are missing, or have other columns than this version makes."""
    with scratch(schema()) as made:
        return [table for table in TABLES if _columns(live, table) != _columns(made, table)]


def _columns(tx: SqliteReader, table: str) -> list[str]:
    """None at all where there is no such table."""
    return [name for (name,) in tx.query("SELECT name FROM pragma_table_xinfo(?)", (table,))]


def _differences(
    model: ReadModel, live: SqliteReader, rebuilt: SqliteReader
) -> Iterator[Difference]:
    """Two sorted runs of rows, side by side."""
    assert model.table
    columns = _columns(live, model.table)
    if columns != _columns(rebuilt, model.table):
        yield Difference(model.table, (), None, ("a column" if columns else "the whole table",))
        return
    width = model.key.count(",") + 1
    sql = f"SELECT * FROM {model.table} ORDER BY {model.key}"
    left, right = live.rows(sql), rebuilt.rows(sql)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if a == b:
            a, b = next(left, None), next(right, None)
            continue
        key = min(row[:width] for row in (a, b) if row is not None)
        mine = a if a is not None and a[:width] == key else None
        theirs = b if b is not None and b[:width] == key else None
        yield Difference(model.table, key, mine, theirs)
        a = next(left, None) if mine else a
        b = next(right, None) if theirs else b
