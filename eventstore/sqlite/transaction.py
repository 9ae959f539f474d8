"""Appending: one write transaction, with a version check and a hash for each record."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import apsw
import msgspec

from .. import codec
from ..chain import hash_of
from ..errors import StreamConflict
from ..events.fact import Fact
from ..events.recorded import Recorded
from ..store import Bindings, Row
from .reader import COLUMNS, LAST, SqliteReader, last_of

# By the unique index of (stream, version).
VERSION = """
    SELECT version FROM events
     WHERE stream = ? AND position < ? ORDER BY version DESC LIMIT 1"""

# By the unique index, each stream once: those that have no event of the version named.
MISSING_VERSIONS = """
    SELECT value ->> 0 FROM json_each(?)
     WHERE NOT EXISTS (SELECT 1 FROM events WHERE stream = value ->> 0 AND version = value ->> 1)"""

INSERT = f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encode = msgspec.json.Encoder().encode

RECORDS_PER_INSERT = 1_000
"""Records that wait to be inserted together."""


class SqliteTransaction(SqliteReader):
    """One write transaction: what it appends stands together, or not at all.

    Records are inserted many at a time; a query sees all that was appended before it.
    """

    commit: Callable[[], None]
    """Commits the complete transaction, once; set when its block has ended."""

    def __init__(self, connection: apsw.Connection, actor: str, at_us: int) -> None:
        super().__init__(connection)
        self.actor, self.at_us = actor, at_us
        self._position, self._hash = last_of(super().query(LAST))
        self._batch = self._position + 1
        self._held: list[Row] = []
        self._versions: dict[str, int] = {}
        self._expected: list[tuple[str, int]] = []
        """Streams and their versions as the writer saw them, to be held against the log."""

    @property
    def appended(self) -> bool:
        """Whether anything was."""
        return bool(self._position >= self._batch)

    @property
    def last(self) -> tuple[int, bytes]:
        """Position and hash of the last record, with those of this transaction."""
        return self._position, self._hash

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """All rows of a statement."""
        self.flush()
        return super().query(sql, bindings)

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """The rows one by one, in flat memory."""
        self.flush()
        return super().rows(sql, bindings)

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""
        self.flush()
        self._connection.execute(sql, bindings)

    def execute_many(self, sql: str, bindings: Sequence[Bindings]) -> None:
        """Run one statement for each of `bindings`."""
        self.flush()
        self._connection.executemany(sql, bindings)

    def append(
        self,
        stream: str,
        expected_version: int,
        events: Iterable[Fact],
        *,
        cause: int | None = None,
        actor: str | None = None,
    ) -> list[Recorded]:
        """Add `events` to the end of the log, and say where they stand.

        expected_version: of the stream's last event as the writer saw it, 0 for a new stream.
        cause: position of the event that led to the first; each further one is led to by the one
        before it. actor: where it is not the transaction's. Raises StreamConflict, perhaps only
        where the records are inserted, at the end of the transaction; ChainBroken for an event
        that no reader would take. Nothing is written then.
        """
        self._expect(stream, expected_version)
        recorded = []
        version = expected_version
        for event in events:
            version += 1
            recorded.append(self._add(stream, version, event, cause, actor or self.actor))
            cause = self._position
        self._versions[stream] = version
        if len(self._held) >= RECORDS_PER_INSERT:
            self.flush()
        return recorded

    def flush(self) -> None:
        """Insert what is held."""
        if not self._held:
            return
        held, self._held = self._held, []
        expected, self._expected = self._expected, []
        self._refuse_lacking(expected)
        try:
            self._connection.executemany(INSERT, held)
        except apsw.ConstraintError:
            self._refuse_taken(expected)
            raise

    def _expect(self, stream: str, version: int) -> None:
        """What this transaction itself has written is known; the rest is asked for together."""
        found = self._versions.get(stream)
        if found is None:
            self._expected.append((stream, version))
        elif found != version:
            raise StreamConflict(stream, version, found)

    def _refuse_lacking(self, expected: list[tuple[str, int]]) -> None:
        """Refuse where a writer claims to have seen what is not there."""
        seen = [pair for pair in expected if pair[1]]
        if seen and (lacking := super().query(MISSING_VERSIONS, (_encode(seen).decode(),))):
            stream = lacking[0][0]
            raise StreamConflict(stream, dict(seen)[stream], self._version(stream))

    def _refuse_taken(self, expected: list[tuple[str, int]]) -> None:
        """The unique index has found a stream that has gone on since the writer saw it."""
        for stream, version in expected:
            if (found := self._version(stream)) != version:
                raise StreamConflict(stream, version, found) from None

    def _version(self, stream: str) -> int:
        """The stream's version before this transaction."""
        found = super().query(VERSION, (stream, self._batch))
        return int(found[0][0]) if found else 0

    def _add(
        self, stream: str, version: int, event: Fact, cause: int | None, actor: str
    ) -> Recorded:
        position, data, kind = self._position + 1, codec.encode(event), codec.type_of(event)
        codec.decode(position, kind, data)  # what nobody could read would be there for ever
        row = (position, stream, version, kind, self.at_us, actor, self._batch, cause, data)
        self._hash = hash_of(self._hash, *row)
        self._position = position
        self._held.append((*row, self._hash))
        return Recorded(*row, self._hash, event)  # type: ignore[arg-type]
