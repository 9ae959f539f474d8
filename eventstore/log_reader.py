"""Reading the log in one snapshot: what the readers of all stores have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from .chain import GENESIS, RawRecord
from .codec import recorded_from
from .dialect import Dialect
from .errors import ChainBroken
from .events.recorded import Recorded
from .store import Bindings, Head, Query, Row, StoredOutput

# By the primary key: the last page of the table.
LAST = "SELECT position, hash, type FROM events ORDER BY position DESC LIMIT 1"

READ_HEAD = Query(LAST)

# By the primary key.
GET_OUTPUT = "SELECT total_bytes, kept FROM outputs WHERE job = :job AND attempt = :attempt"


class LogReader(ABC):
    """A snapshot of the database, whose statements a store runs in its own way."""

    dialect: Dialect
    _tables_sql: ClassVar[str]
    """Returns a table and a column for each column, ordered by table and place."""
    _hash_sql: ClassVar[str]
    """Returns the hash of the record at `:position` in hexadecimal."""

    @abstractmethod
    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""

    @abstractmethod
    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""

    @abstractmethod
    def records(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Row]:
        """Return the records of `raw` as plain tuples, which are faster to read."""

    def tables(self) -> dict[str, list[str]]:
        """Return the names of the columns, in order, by name of the table."""
        tables: dict[str, list[str]] = {}
        for table, column in self.query(self._tables_sql):
            tables.setdefault(table, []).append(column)
        return tables

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Iterate over the events with `after` < position <= `upto`, in order of position.

        stream: the only stream to read; None for all. Raises ChainBroken at an unreadable event.
        """
        return map(recorded_from, self.records(after, upto, stream))

    def raw(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[RawRecord]:
        """Return the records of the same events as `events`, not decoded.

        Raises ChainBroken at the first record that is not UTF-8.
        """
        return map(RawRecord._make, self.records(after, upto, stream))

    def head(self) -> Head:
        """Return the position and hash of the last record."""
        position, hash_ = last_of(self.query(LAST))
        return Head(position, hash_.hex())

    def output(self, job_id: str, attempt: int) -> StoredOutput | None:
        """Return the stored output of an attempt; None if there is none."""
        rows = self.query(GET_OUTPUT, {"job": job_id, "attempt": attempt})
        return StoredOutput(*rows[0]) if rows else None

    def hash_at(self, position: int) -> str | None:
        """Return the hash of a record in hexadecimal; None if there is none at this position."""
        rows = self.query(self._hash_sql, {"position": position})
        return str(rows[0][0]) if rows else None


def last_of(rows: list[Row]) -> tuple[int, bytes]:
    """Return position and hash of the last record. rows: the result of LAST. Raises ChainBroken."""
    if not rows:
        return 0, GENESIS
    position, hash_, _ = rows[0]
    if not isinstance(hash_, bytes):
        raise ChainBroken(position, "its hash is not valid")
    return position, hash_
