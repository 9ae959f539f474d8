"""Reading the log and the other tables in one snapshot of the database."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from ..chain import COLUMNS, Break
from ..codec import recorded_from
from ..dialect import POSTGRES, Dialect
from ..events.recorded import Recorded
from ..log_reader import LogReader
from ..store import Bindings, Head, Query, RecordedOutput, Row
from . import outputs
from .connecting import Connection
from .round_trip import Command, Cursor

# By the primary key: the cost is proportional to the number of events read.
ALL = f"""
    SELECT {COLUMNS} FROM events
     WHERE position > :after AND position <= :upto ORDER BY position"""

# By the unique index; version and position rise together within a stream.
OF_STREAM = f"""
    SELECT {COLUMNS} FROM events
     WHERE stream = :stream AND position > :after AND position <= :upto ORDER BY version"""

# By the unique index, newest first: reads the stream's records from :before on, and :limit more.
NEWEST_OF_STREAM = f"""
    SELECT {COLUMNS} FROM events
     WHERE stream = :stream AND position < :before ORDER BY version DESC LIMIT :limit"""

HASH_AT = "SELECT encode(hash, 'hex') FROM events WHERE position = :position"

TABLES = """
    SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind = 'r'
       AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum"""

Answer = tuple[Query, list[Row]]
"""A query that was read ahead, and its rows."""

_END = 2**63 - 1

ROWS_PER_FETCH = 1_000

_cursors = count(1)


class PostgresReader(LogReader):
    """A snapshot of the database, inside a transaction."""

    dialect: Dialect = POSTGRES
    _tables_sql, _hash_sql = TABLES, HASH_AT

    def __init__(
        self, connection: Connection, quoted_schema: str, read_ahead: Iterable[Answer] = ()
    ) -> None:
        """read_ahead: the answers to queries that were run together. `query` returns them."""
        self._connection, self._schema = connection, quoted_schema
        self._read = {_key(sql, bindings): rows for (sql, bindings), rows in read_ahead}

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""
        if self._read and (rows := self._read.get(_key(sql, bindings))) is not None:
            return rows
        return self._execute(text(sql), bindings).fetchall()

    def _execute(self, statement: bytes, bindings: Bindings | Sequence[Any] = ()) -> Cursor:
        return self._connection.execute(statement, bindings)

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory.

        The server keeps the result until the end of the transaction.
        """
        cursor = f"rows_{next(_cursors)}"
        declare = f"DECLARE {cursor} NO SCROLL CURSOR FOR {POSTGRES.query(sql)}"
        self._execute(declare.encode(), bindings)
        fetch = f"FETCH {ROWS_PER_FETCH} FROM {cursor}".encode()
        while page := self._connection.execute(fetch).fetchall():
            yield from page
        self._connection.execute(f"CLOSE {cursor}".encode())  # otherwise the transaction's end does

    def savepoint(self) -> AbstractContextManager[object]:
        """After an error in the block, the transaction can go on."""
        return self._connection.transaction()

    def recorded_outputs(self) -> Iterator[RecordedOutput]:
        """Iterate over the outputs that the log recorded, in the order of the log."""
        return map(RecordedOutput._make, self.rows(outputs.RECORDED))

    def unrecorded_outputs(self) -> Iterator[tuple[str, int]]:
        """Iterate over the stored outputs (job and attempt) that no event recorded."""
        return iter(self.rows(outputs.UNRECORDED))

    def newest(self, stream: str, limit: int, before: int | None = None) -> list[Recorded]:
        """Return at most `limit` events of a stream, newest first, with position < `before`.

        Raises ChainBroken at an unreadable event.
        """
        end = _END if before is None else before
        bindings = {"stream": stream, "before": end, "limit": limit}
        return [recorded_from(row) for row in self.query(NEWEST_OF_STREAM, bindings)]

    def records(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Row]:
        """Return the records of `raw` as plain tuples, which are faster to read."""
        bindings: dict[str, Any] = {"after": after, "upto": _END if upto is None else upto}
        if stream is None:
            return self.rows(ALL, bindings)
        return self.rows(OF_STREAM, {**bindings, "stream": stream})

    def records_until_damage(self) -> Iterator[Row]:
        """Iterate over all records. Raises ChainBroken at the first that cannot be read."""
        from .integrity import records_until_damage  # not needed by most commands

        return records_until_damage(self)

    def unindexed(self) -> Break | None:
        """Return the first record that is missing from the index of streams."""
        from .integrity import unindexed

        return unindexed(self)

    def missing_guards(self) -> tuple[str, ...]:
        """Return the names of the log's guards that are missing, switched off or were changed."""
        from .integrity import missing_guards

        return missing_guards(self, self._schema)

    def excess_rights(self) -> tuple[str, ...]:
        """Return who may do more to the log than append, beyond its owner and superusers."""
        from .roles import excess_rights

        return excess_rights(self)

    def damage(self) -> str | None:
        """Return what the server's page checksums found; None for nothing, or without checksums."""
        from .integrity import damage

        return damage(self)


class PostgresSnapshot(PostgresReader):
    """A reader whose queries all see the same state: it reads the head only once."""

    _head: Head | None = None

    def head(self) -> Head:
        """Return the position and hash of the last record."""
        if self._head is None:
            self._head = super().head()
        return self._head


def _key(sql: str, bindings: Bindings) -> Any:
    return sql, tuple(bindings.items()) if isinstance(bindings, Mapping) else bindings


def text(sql: str) -> bytes:
    """Return a query as psycopg takes it."""
    return POSTGRES.query(sql).encode()


def commands_of(queries: Sequence[Query]) -> list[Command]:
    """Return the queries as they are sent."""
    return [Command(text(sql), bindings) for sql, bindings in queries]
