"""Reading the log and the other tables in one snapshot of the database."""

from collections.abc import Iterator

import apsw

from ..chain import COLUMNS, Break
from ..codec import recorded_from
from ..dialect import SQLITE, Dialect
from ..errors import ChainBroken
from ..events.recorded import Recorded
from ..log_reader import LogReader
from ..store import ENDS, Bindings, RecordedOutput, Row
from . import outputs

# By the primary key: the cost is proportional to the number of events read.
ALL = f"SELECT {COLUMNS} FROM events WHERE position > ? AND position <= ? ORDER BY position"

# By the unique index; version and position rise together within a stream.
OF_STREAM = f"""
    SELECT {COLUMNS} FROM events
     WHERE stream = ? AND position > ? AND position <= ? ORDER BY version"""

# By the unique index, newest first: reads at most :limit rows.
NEWEST_OF_STREAM = f"""
    SELECT {COLUMNS} FROM events
     WHERE stream = :stream AND version < :before ORDER BY version DESC LIMIT :limit"""

VERSION_AT = "SELECT version FROM events WHERE position = :position AND stream = :stream"

# For a position at which the stream has no record: reads the stream's newer records.
VERSION_BELOW = """
    SELECT version + 1 FROM events
     WHERE stream = :stream AND position < :position ORDER BY version DESC LIMIT 1"""

HASH_AT = "SELECT lower(hex(hash)) FROM events WHERE position = :position"

AS_BYTES = """
    SELECT position, CAST(stream AS BLOB), CAST(type AS BLOB), CAST(actor AS BLOB),
           CAST(data AS BLOB)
      FROM events WHERE position > ? AND position <= ? ORDER BY position"""

TABLES = """
    SELECT schema.name, of_table.name
      FROM sqlite_schema AS schema JOIN pragma_table_xinfo(schema.name) AS of_table
     WHERE schema.type = 'table' ORDER BY schema.name, of_table.cid"""

_END = 2**63 - 1


class SqliteReader(LogReader):
    """A snapshot of the database, inside a transaction."""

    dialect: Dialect = SQLITE
    _tables_sql, _hash_sql = TABLES, HASH_AT

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""
        return self._connection.execute(sql, bindings).fetchall()

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""
        return iter(self._connection.execute(sql, bindings))

    def recorded_outputs(self) -> Iterator[RecordedOutput]:
        """Iterate over the outputs that the log recorded, in the order of the log."""
        return map(RecordedOutput._make, self.rows(outputs.RECORDED, ENDS))

    def unrecorded_outputs(self) -> Iterator[tuple[str, int]]:
        """Iterate over the stored outputs (job and attempt) that no event recorded."""
        return iter(self.rows(outputs.UNRECORDED, ENDS))

    def newest(self, stream: str, limit: int, before: int | None = None) -> list[Recorded]:
        """Return at most `limit` events of a stream, newest first, with position < `before`.

        Raises ChainBroken at an unreadable event.
        """
        version = _END if before is None else self._version_before(stream, before)
        bindings = {"stream": stream, "before": version, "limit": limit}
        try:
            return [recorded_from(row) for row in self.query(NEWEST_OF_STREAM, bindings)]
        except UnicodeDecodeError:
            raise ChainBroken(self._first_not_utf8(0, _END), "it is not UTF-8") from None

    def _version_before(self, stream: str, position: int) -> int:
        """Return the version of the stream's first record at or after `position`.

        If there is none: the version that the next record will have, or 0 for an unknown stream.
        """
        bindings = {"stream": stream, "position": position}
        rows = self.query(VERSION_AT, bindings) or self.query(VERSION_BELOW, bindings)
        return int(rows[0][0]) if rows else 0

    def records(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Row]:
        """Return the records of `raw` as plain tuples, which are faster to read.

        Raises ChainBroken at the first record that is not UTF-8.
        """
        end = _END if upto is None else upto
        try:
            if stream is None:
                yield from self.rows(ALL, (after, end))
            else:
                yield from self.rows(OF_STREAM, (stream, after, end))
        except UnicodeDecodeError:
            raise ChainBroken(self._first_not_utf8(after, end), "it is not UTF-8") from None

    def _first_not_utf8(self, after: int, end: int) -> int:
        """Return the position of the first record that is not UTF-8."""
        for position, *texts in self.rows(AS_BYTES, (after, end)):
            try:
                for text in filter(None, texts):
                    text.decode()
            except UnicodeDecodeError:
                return int(position)
        return after

    def records_until_damage(self) -> Iterator[Row]:
        """Iterate over all records. Raises ChainBroken at the first that cannot be read."""
        from .integrity import records_until_damage  # not needed by most commands

        return records_until_damage(self)

    def unindexed(self) -> Break | None:
        """Return the first record that is missing from the index of streams."""
        from .integrity import unindexed

        return unindexed(self)

    def missing_guards(self) -> tuple[str, ...]:
        """Return the names of the log's triggers that are missing or were changed."""
        from .integrity import missing_triggers

        return missing_triggers(self)

    def excess_rights(self) -> tuple[str, ...]:
        """Return nobody: a file that others may write is refused when it is opened."""
        return ()

    def damage(self) -> str | None:
        """Return a description of the first damaged page; None if there is none."""
        problem = str(self.query("PRAGMA integrity_check(1)")[0][0])
        return None if problem == "ok" else problem
