"""The log in one SQLite file: read it, append to it, and what a failed commit means."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import apsw

from .. import codec
from ..chain import GENESIS, Raw, link
from ..errors import (
    Busy,
    Full,
    Gone,
    OutcomeUnknown,
    ReadOnly,
    StorageFailed,
    StoreError,
    StreamConflict,
)
from ..events.fact import Fact
from ..events.recorded import Recorded
from ..store import Bindings, Head, Row
from .beside import Beside
from .doorbell import SqliteDoorbell, ring
from .failures import BUSY_TIMEOUT_S, translated
from .lock import SqliteLock
from .opening import connect

_COLUMNS = "position, stream, version, type, recorded_at, actor, batch, cause, data, hash"

# By the primary key: the last page of the table.
LAST = "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1"

# By the unique index of (stream, version).
VERSION = "SELECT version FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1"

INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# By position: each event once, however many there are.
ALL = f"SELECT {_COLUMNS} FROM events WHERE position > ? AND position <= ? ORDER BY position"

# By the unique index; version and position rise together within a stream.
OF_STREAM = f"""
    SELECT {_COLUMNS} FROM events
     WHERE stream = ? AND position > ? AND position <= ? ORDER BY version"""

_END = 2**63 - 1


class SqliteReader:
    """A view of one state of the database, inside a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """All rows of a statement."""
        return self._connection.execute(sql, bindings).fetchall()

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """The rows one by one, in flat memory."""
        return iter(self._connection.execute(sql, bindings))

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Events with `after` < position <= `upto`, in order, of one stream or of all.

        Raises ChainBroken at one that cannot be read.
        """
        return map(recorded_from, self.raw(after, upto, stream))

    def raw(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Raw]:
        """The same records as their rows hold them."""
        end = _END if upto is None else upto
        if stream is None:
            return map(Raw._make, self.rows(ALL, (after, end)))
        return map(Raw._make, self.rows(OF_STREAM, (stream, after, end)))

    def head(self) -> Head:
        """The last record."""
        last = self.query(LAST)
        return Head(last[0][0], last[0][1].hex()) if last else Head(0, GENESIS.hex())


class SqliteTransaction(SqliteReader):
    """One write transaction: what it appends stands together, or not at all."""

    def __init__(self, connection: apsw.Connection, actor: str, at_us: int) -> None:
        super().__init__(connection)
        self.actor, self.at_us = actor, at_us
        last = self.query(LAST)
        self._position, self._hash = last[0] if last else (0, GENESIS)
        self._batch = self._position + 1

    @property
    def appended(self) -> bool:
        """Whether anything was."""
        return bool(self._position >= self._batch)

    @property
    def last(self) -> tuple[int, bytes]:
        """Position and hash of the last record, with those of this transaction."""
        return self._position, self._hash

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""
        self._connection.execute(sql, bindings)

    def execute_many(self, sql: str, bindings: Sequence[Bindings]) -> None:
        """Run one statement for each of `bindings`."""
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
        before it. actor: where it is not the transaction's. Raises StreamConflict, nothing written.
        """
        found = self._version(stream)
        if found != expected_version:
            raise StreamConflict(stream, expected_version, found)
        recorded = []
        for version, event in enumerate(events, expected_version + 1):
            recorded.append(self._add(stream, version, event, cause, actor or self.actor))
            cause = self._position
        return recorded

    def _version(self, stream: str) -> int:
        found = self.query(VERSION, (stream,))
        return found[0][0] if found else 0

    def _add(
        self, stream: str, version: int, event: Fact, cause: int | None, actor: str
    ) -> Recorded:
        raw = Raw(
            position=self._position + 1,
            stream=stream,
            version=version,
            type=codec.type_of(event),
            recorded_at_us=self.at_us,
            actor=actor,
            batch=self._batch,
            cause=cause,
            data=codec.encode(event),
            hash=b"",
        )
        raw = raw._replace(hash=link(self._hash, raw))
        self._connection.execute(INSERT, raw)
        self._position, self._hash = raw.position, raw.hash
        return Recorded(*raw, event)  # type: ignore[arg-type]


class SqliteStore:
    """A queue file, open."""

    def __init__(self, path: str, *, readonly: bool = False) -> None:
        self.path, self.readonly = path, readonly
        self.beside = Beside(path)
        self._open_connection: apsw.Connection | None = connect(path, readonly=readonly)
        found = os.stat(path)
        self.identity = (found.st_dev, found.st_ino)

    @contextmanager
    def read(self) -> Iterator[SqliteReader]:
        """One state of the database, until the block ends."""
        with translated(self.path):
            self._connection.execute("BEGIN")
            try:
                yield SqliteReader(self._connection)
            finally:
                self._roll_back()

    @contextmanager
    def write(self, actor: str, at_us: int) -> Iterator[SqliteTransaction]:
        """One write transaction; committed when the block ends, and then every bell is rung.

        actor: who does it. at_us: when, UTC. Raises Busy, Full, ReadOnly, Gone or StorageFailed,
        nothing written; or OutcomeUnknown.
        """
        if self.readonly:
            raise ReadOnly(self.path)
        try:
            with translated(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
                self._refuse_gone()
                transaction = SqliteTransaction(self._connection, actor, at_us)
                yield transaction
        except BaseException:
            self._roll_back()
            raise
        self._commit(transaction)
        if transaction.appended:
            self.ring()

    def head(self) -> Head:
        """The last record."""
        with self.read() as tx:
            return tx.head()

    def lock(self, name: str) -> SqliteLock:
        """A lock by name; not taken yet."""
        return SqliteLock(self.beside.folder("locks"), name)

    def doorbell(self) -> SqliteDoorbell:
        """A bell of one's own."""
        return SqliteDoorbell(self.beside.folder("bells"))

    def ring(self) -> None:
        """Wake all who listen. Without a folder of bells nobody does. Never fails."""
        try:
            folder = self.beside.existing("bells")
        except StoreError:  # it is not ours alone, or descriptors ran out
            return
        if folder is not None:
            ring(folder)

    def close(self) -> None:
        """Let go of the file."""
        self._disconnect()
        self.beside.close()

    @property
    def _connection(self) -> apsw.Connection:
        """The connection, opened anew where an I/O error made us give up the last one."""
        if self._open_connection is None:
            with translated(self.path):
                self._open_connection = connect(self.path, readonly=self.readonly)
        return self._open_connection

    def _disconnect(self) -> None:
        closing, self._open_connection = self._open_connection, None
        if closing is not None:
            closing.close()

    def _refuse_gone(self) -> None:
        """Never write to a file that has no name any more: it would be lost with the process."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            raise Gone(self.path) from None
        if (found.st_dev, found.st_ino) != self.identity:
            raise Gone(self.path)

    def _roll_back(self) -> None:
        if self._open_connection is not None and self._open_connection.in_transaction:
            self._open_connection.execute("ROLLBACK")

    def _commit(self, transaction: SqliteTransaction) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.FullError:
            self._roll_back()
            raise Full(self.path) from None
        except apsw.BusyError:
            self._roll_back()
            raise Busy(self.path, BUSY_TIMEOUT_S) from None
        except apsw.IOError as error:
            self._roll_back()
            self._settle(transaction, str(error))

    def _settle(self, transaction: SqliteTransaction, error: str) -> None:
        """A commit that fails with an I/O error is not a no: its frames may be on disk after all.

        Yes only after a complete checkpoint with its fsync has succeeded since; no only where
        another commit took the position.
        """
        if not transaction.appended:
            raise StorageFailed(self.path, error)
        position, hash_ = transaction.last
        try:
            self._disconnect()
            stands = self._hash_at(position)
            if stands is not None and stands != hash_:
                raise StreamConflict("", position - 1, position)
            remaining = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.Error, StorageFailed):
            raise OutcomeUnknown(self.path, position) from None
        if stands is None or remaining != (0, 0):
            raise OutcomeUnknown(self.path, position)

    def _hash_at(self, position: int) -> bytes | None:
        found = self._connection.execute(
            "SELECT hash FROM events WHERE position = ?", (position,)
        ).fetchall()
        return bytes(found[0][0]) if found else None  # type: ignore[arg-type]


def recorded_from(raw: Raw) -> Recorded:
    """A record with its event read. Raises ChainBroken where that cannot be done."""
    return Recorded(*raw, codec.decode(raw.position, raw.type, raw.data))
