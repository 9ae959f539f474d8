"""One write transaction of a queue file, and how the outcome of a failed commit is settled."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import apsw
import msgspec

from ..appending import Appending
from ..chain import COLUMNS
from ..errors import OutcomeUnknown, StreamConflict, Unusable
from ..log_reader import LAST, last_of
from ..store import Bindings, Row
from ..tables import Statement
from ..write_access import size_limit
from .reader import SqliteReader
from .writing import insert, write

# By the unique index of (stream, version).
VERSION = """
    SELECT version FROM events
     WHERE stream = ? AND position < ? ORDER BY version DESC LIMIT 1"""

# One search in the unique index per stream: the streams that have no event of the given version.
MISSING_VERSIONS = """
    SELECT value ->> 0 FROM json_each(?)
     WHERE NOT EXISTS (SELECT 1 FROM events WHERE stream = value ->> 0 AND version = value ->> 1)"""

_COLUMNS = tuple(COLUMNS.split(", "))

# By the primary key.
HASH_AT = "SELECT hash FROM events WHERE position = :position"

_encode = msgspec.json.Encoder().encode


class SqliteTransaction(Appending, SqliteReader):
    """A write transaction: all that it appends is recorded together, or not at all."""

    commit: Callable[[], None]
    """Commits the complete transaction, once; set when its block has ended."""

    def __init__(self, connection: apsw.Connection, actor: str, now_us: int) -> None:
        SqliteReader.__init__(self, connection)
        rows = SqliteReader.query(self, LAST)
        Appending.__init__(self, actor, now_us, last_of(rows), rows[0][2] if rows else None)

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""
        self.flush()
        self._connection.execute(sql, bindings)

    def write(self, statement: Statement, rows: Sequence[Row], table: str) -> None:
        """Carry out a statement once for each row. table: the name of the table to change."""
        self.flush()
        write(self._connection, statement, table, rows)

    def take_lease(self, worker_id: str, nonce: int | None) -> bool:
        """Return True: in a file there are no leases, and locks show that a worker has died."""
        return True

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Insert many rows. columns: the columns of the values in each row."""
        self.flush()
        insert(self._connection, table, columns, list(rows))

    def rename(self, names: Mapping[str, str]) -> bool:
        """Rename tables, in order; a snapshot keeps the old ones. Return True."""
        for old, new in names.items():
            self.execute(f"ALTER TABLE {old} RENAME TO {new}")
        return True

    def _insert(self, records: list[Row], expected: list[tuple[str, int]]) -> None:
        """Insert records. The unique index refuses those of streams that others wrote to."""
        self._refuse_missing_versions(expected)
        try:
            insert(self._connection, "events", _COLUMNS, records)
        except apsw.ConstraintError:
            self._refuse_newer_versions(expected)
            raise

    def _refuse_missing_versions(self, expected: list[tuple[str, int]]) -> None:
        """Raise StreamConflict if an expected version is higher than that in the log."""
        pairs = [pair for pair in expected if pair[1]]
        if pairs and (missing := self.query(MISSING_VERSIONS, (_encode(pairs).decode(),))):
            stream = missing[0][0]
            raise StreamConflict(stream, dict(pairs)[stream], self._version(stream))

    def _refuse_newer_versions(self, expected: list[tuple[str, int]]) -> None:
        """Raise StreamConflict if another writer appended to a stream since it was read.

        Called after the unique index has refused a record.
        """
        for stream, version in expected:
            if (current := self._version(stream)) != version:
                raise StreamConflict(stream, version, current) from None

    def _version(self, stream: str) -> int:
        """Return the stream's version before this transaction; 0 for a new stream."""
        rows = self.query(VERSION, (stream, self._batch))
        return int(rows[0][0]) if rows else 0


def settle(path: str, last: tuple[int, bytes], reopened: Callable[[], apsw.Connection]) -> None:
    """Return if a commit that failed with an I/O error is stored nevertheless.

    It is if a complete checkpoint, with its fsync, has succeeded since. last: position and hash of
    the last record of the commit. reopened: closes the connection and opens another one. Raises
    StreamConflict if another commit has its position, and OutcomeUnknown otherwise.
    """
    limit = size_limit(path)
    cause = "the disk failed" if limit is None else "the limit of ulimit -f was reached"
    position, hash_ = last
    try:
        connection = reopened()
        stored = _hash_at(connection, position)
        if stored is not None and stored != hash_:
            raise StreamConflict("", position - 1, position)
        remaining = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.Error, Unusable):  # also if it reports that nothing was written
        raise OutcomeUnknown(path, position, cause) from None
    if stored is None or remaining != (0, 0):
        raise OutcomeUnknown(path, position, cause)


def _hash_at(connection: apsw.Connection, position: int) -> bytes | None:
    rows = connection.execute(HASH_AT, {"position": position}).fetchall()
    return bytes(rows[0][0]) if rows else None  # type: ignore[arg-type]
