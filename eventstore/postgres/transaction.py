"""One write transaction on a server: it begins with the lock that all writers of a queue take."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import psycopg

from ..appending import Appending
from ..chain import COLUMNS, GENESIS
from ..errors import StreamConflict
from ..log_reader import LAST
from ..store import Bindings, Query, Row
from ..tables import Statement
from . import round_trip
from .address import quoted, with_bindings
from .connecting import Connection
from .flushing import WaitsFor
from .following import IS_FOLLOWED, lock_number
from .notifying import NEWS, Channel, announcements
from .reader import Answer, PostgresReader, commands_of, text
from .round_trip import Command, Cursor, run
from .schema import CONFLICT, LOCK_CLASS, NOW_US
from .writing import arrays, columns, merged, sql

PAUSE_LIMIT_S = 5
"""The server ends a transaction that does nothing for so long: others wait for its lock."""

RENAME_PATIENCE_MS = 200
"""How long a renaming waits for snapshots: new ones wait behind it."""

# One message, so one round trip. The statement after the lock sees all that others committed: not
# at a higher level of isolation, which may be the default of the user.
BEGIN = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL search_path = {{schema}}, pg_temp;
    SET LOCAL synchronous_commit = off;
    SET LOCAL idle_in_transaction_session_timeout = '{PAUSE_LIMIT_S}s';
    SET LOCAL lock_timeout = {{patience_ms}};
    SELECT pg_advisory_xact_lock({LOCK_CLASS}, {{lock}});
    SELECT CAST(id AS TEXT), {NOW_US},
           CASE current_setting('synchronous_standby_names')
                WHEN '' THEN 'disk' ELSE 'standbys' END,
           complete, {IS_FOLLOWED}, position, hash, type
      FROM meta LEFT JOIN ({LAST}) AS last ON true"""

REFUSE_CONFLICT = "SELECT refuse_conflict(CAST(%s AS TEXT[]), CAST(%s AS BIGINT[]))"

_TYPES = (
    "BIGINT[]",
    "TEXT[]",
    "BIGINT[]",
    "TEXT[]",
    "BIGINT[]",
    "TEXT[]",
    "BIGINT[]",
    "BIGINT[]",
    "TEXT[]",
    "BYTEA[]",
)

INSERT = f"INSERT INTO events ({COLUMNS}) SELECT * FROM {arrays(_TYPES)}"


# By the primary key. It waits for a beat that is being committed, and then compares again.
TAKE_LEASE = """
    DELETE FROM leases
     WHERE worker = %(worker)s AND nonce = coalesce(CAST(%(nonce)s AS BIGINT), nonce)"""


class Begun(NamedTuple):
    """What the server answers when the lock is obtained."""

    queue_id: str
    now_us: int
    """The time by the server's clock."""
    commit_waits_for: WaitsFor
    is_complete: bool
    """False while a migration into the queue is under way."""
    is_followed: bool
    """Whether a program follows the log."""
    last: tuple[int, bytes]
    """Position and hash of the last record."""
    last_type: str | None
    """Its type; None if the log is empty."""
    read_ahead: list[Answer]
    """The answers to the queries that were sent with the request."""


class PostgresTransaction(Appending, PostgresReader):
    """A write transaction: all that it appends is recorded together, or not at all."""

    commit: Callable[[], None]
    """Commits the complete transaction, once; set when its block has ended."""

    def __init__(
        self, connection: Connection, quoted_schema: str, actor: str, begun: Begun
    ) -> None:
        PostgresReader.__init__(self, connection, quoted_schema, begun.read_ahead)
        Appending.__init__(self, actor, begun.now_us, begun.last, begun.last_type)
        self.commit_waits_for = begun.commit_waits_for
        self._key, self._is_followed, self._has_news = begun.queue_id, begun.is_followed, False
        self.changed = False
        """True if something was written."""
        self._postponed: list[Command] = []
        """Commands whose results nobody needs: they are sent with the next one."""

    def run_with(self, *last: Command) -> Cursor:
        """Run all postponed commands and then these; return the result of the last one."""
        commands, self._postponed = [*self._postponed, *last], []
        try:
            return run(self._connection, commands)
        except psycopg.errors.SerializationFailure as error:
            raise _conflict(error) from None

    @property
    def announcements(self) -> list[str]:
        """The statements that wake the listeners, to run directly before COMMIT."""
        channels: list[Channel] = ["work"] if self._has_news else []
        if self.appended and self._is_followed:
            channels.append("log")
        return announcements(self._key, self.last[0], channels)

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""
        self.flush()
        self._postpone(text(sql), bindings)

    def write(self, statement: Statement, rows: Sequence[Row], table: str) -> None:
        """Carry out a statement once for each row. table: the name of the table to change."""
        if not rows:
            return
        self.flush()
        self._postpone(sql(statement, table), columns(merged(statement, rows)))

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Insert many rows by COPY. columns: the columns of the values in each row."""
        self.flush()
        self._catch_up()
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def rename(self, names: Mapping[str, str]) -> bool:
        """Rename tables, in order. Return False, and change nothing, if snapshots are open.

        A snapshot shows old rows, but finds a table by its newest name: it would show only those
        rows of the new table that are older than itself. So each snapshot begins with a lock.
        """
        self.flush()
        self._catch_up()
        try:
            with self.savepoint():
                self._connection.execute(f"SET LOCAL lock_timeout = {RENAME_PATIENCE_MS}".encode())
                self._connection.execute("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE")
                for old, new in names.items():
                    self._connection.execute(f"ALTER TABLE {old} RENAME TO {new}".encode())
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def act_as(self, role: str) -> None:
        """Act as this role in the rest of the transaction."""
        self._postpone(f"SET LOCAL ROLE {quoted(role)}".encode())

    def take_lease(self, worker_id: str, nonce: int | None) -> bool:
        """End the lease of a worker, if it has not beaten since; return whether it is ended.

        nonce: the last one that was seen; None for any.
        """
        self.flush()
        self._note_change()
        ended = self._execute(TAKE_LEASE.encode(), {"worker": worker_id, "nonce": nonce})
        return ended.rowcount == 1

    def _insert(self, records: list[Row], expected: list[tuple[str, int]]) -> None:
        """Insert records, after the versions were compared. A conflict ends the transaction."""
        if expected:  # else all streams were checked before in this transaction
            self._postpone(REFUSE_CONFLICT.encode(), columns(expected))
        self._has_news = self._has_news or any(record[3] in NEWS for record in records)
        self._postpone(INSERT.encode(), columns(records))

    def savepoint(self) -> AbstractContextManager[object]:
        """After an error in the block, the transaction can go on."""
        self._catch_up()
        return super().savepoint()

    def _execute(self, statement: bytes, bindings: Bindings | Sequence[Any] = ()) -> Cursor:
        return self.run_with(Command(statement, bindings))

    def _postpone(self, statement: bytes, bindings: Bindings | Sequence[Any] = ()) -> None:
        self._note_change()
        self._postponed.append(Command(statement, bindings))

    def _note_change(self) -> None:
        """Note that the transaction changes something, so what was read ahead is out of date."""
        self.changed = True
        self._read.clear()

    def _catch_up(self) -> None:
        """Run the postponed commands: the caller is about to use the connection itself."""
        self._note_change()
        if self._postponed:
            self.run_with()


def _conflict(error: psycopg.Error) -> Exception:
    """Return StreamConflict if that is the reason of the error, else the error."""
    if error.diag.message_primary != CONFLICT:
        return error
    version, current, stream = (error.diag.message_detail or "").split(" ", 2)
    return StreamConflict(stream, int(version), int(current))


def begin_writing(
    connection: Connection,
    quoted_schema: str,
    key: str,
    queries: Sequence[Query],
    patience_s: float,
) -> Begun | None:
    """Take the write lock of a queue and return what the server answers; None if it is gone.

    key: the id of the queue, of which the lock's number is a part. queries: to run under the lock.
    """
    message = BEGIN.format(
        schema=with_bindings(quoted_schema),
        patience_ms=max(1, round(patience_s * 1000)),  # 0 would mean without end
        lock=lock_number(key),
    )
    _, states, *answers = round_trip.begin(connection, message.encode(), commands_of(queries))
    if not states:
        return None
    stored_key, now_us, commit_waits_for, complete, is_followed, position, hash_, type_ = states[0]
    last = (0, GENESIS) if position is None else (position, hash_)
    read_ahead = list(zip(queries, answers, strict=False))  # there may be no answers
    return Begun(
        stored_key, now_us, commit_waits_for, complete, is_followed, last, type_, read_ahead
    )
