"""An open queue on a server: its transactions, and what a lost connection means.

A log belongs to one thread. The commit of a write transaction may run in another; until that has
returned, the log must not be used. See docs/decisions/0010 and 0017.
"""

import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Literal, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from ..errors import (
    Away,
    Busy,
    Gone,
    Incomplete,
    LogWentBack,
    NotAllowed,
    OnStandby,
    OutcomeUnknown,
    ReadOnly,
    StorageFailed,
    TransactionOpen,
    Unfinished,
)
from ..store import PATIENCE_S, Ahead, Head, Query
from .address import Address, with_bindings
from .causes import hidden, with_cause
from .connecting import Connection, connect
from .failures import is_away, translated
from .flushing import commands, is_flushed, wait_until_flushed
from .reader import PostgresReader, PostgresSnapshot, commands_of
from .round_trip import Command, begin, run
from .schema import NOW_US
from .transaction import Begun, PostgresTransaction, begin_writing

SETTLE_S, SETTLE_PAUSE_S = 30.0, 0.2
"""How long the outcome of a commit is looked for while the server is away, and the pauses."""

# The lock comes before the snapshot, and excludes `PostgresTransaction.rename`.
READ = """
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL search_path = {schema}, pg_temp;
    LOCK TABLE meta IN ACCESS SHARE MODE"""

# Between two queries it holds back neither vacuum nor a renaming of tables.
READ_LOG = "BEGIN READ ONLY; SET LOCAL search_path = {schema}, pg_temp"

HASH_AT = "SELECT encode(hash, 'hex') FROM {schema}.events WHERE position = %(position)s"

# The owner of the log owns all tables.
OWNER = """
    SELECT pg_get_userbyid(relowner), pg_has_role(relowner, 'MEMBER'), pg_is_in_recovery()
      FROM pg_class WHERE pg_class.oid = CAST('events' AS regclass)"""

Result = TypeVar("Result")

OnWait = Callable[[str], None]

Accept = Literal["complete", "any"]
"""Whether a log is opened into which a migration is under way."""

REPORTED_AFTER_S = 1.0
"""A wait for another writer is reported to the user after this time."""

TIME = f"SELECT {NOW_US}"


class PostgresLog:
    """An open queue on a server."""

    distant = True

    def __init__(
        self,
        address: Address,
        *,
        readonly: bool = False,
        on_wait: OnWait | None = None,
        accept: Accept = "complete",
    ) -> None:
        """Open the log.

        on_wait: called once, with a message, if another process holds the write lock for longer
        than a second. accept: whether a migration into the queue may be under way. Raises
        NotCreated, ForeignFile, NewerFile, Unfinished, NotAllowed or Away.
        """
        self.label, self.readonly, self._on_wait = address.label, readonly, on_wait
        self._clock_offset_us: int | None = None
        """The server's time minus this machine's monotonic clock, at the last transaction."""
        self._address, self._schema = address, address.quoted_schema
        self.settles_within_s = SETTLE_S
        self._durable = Head(0, "")
        """The newest head known to be on the server's disk. It must never go missing."""
        self._turn = allocate_lock()
        """Locked while a transaction is open: a connection has only one at a time."""
        self._accept = accept
        connected = connect(address)
        self._open_connection: Connection | None = connected.connection
        self.queue_id, self.key = connected.queue_id, connected.key
        """A copy of the queue has the same id, and another key."""
        self.is_complete = connected.is_complete
        """False if a migration into the queue was under way when it was opened."""
        self._refuse_unfinished(connected.is_complete)

    def read(self, ahead: Ahead = tuple) -> AbstractContextManager[PostgresReader]:
        """Return a snapshot of the database that is valid until the block ends.

        ahead: returns queries, which are run with the beginning. `query` returns their rows. One
        that fails makes no difference: later, `query` runs each by itself. Raises TransactionOpen
        if a transaction of this log is open.
        """
        return self._read(READ, PostgresSnapshot, ahead)

    def read_log(self) -> AbstractContextManager[PostgresReader]:
        """Return a reader of the log and the outputs, each of whose queries has its own snapshot.

        Raises TransactionOpen if a transaction of this log is open.
        """
        return self._read(READ_LOG, PostgresReader)

    @contextmanager
    def _read(
        self, begin_with: str, kind: type[PostgresReader], ahead: Ahead = tuple
    ) -> Iterator[PostgresReader]:
        self._take_turn()
        try:
            with self._translated():
                beginning = begin_with.format(schema=with_bindings(self._schema)).encode()
                queries = list(ahead())
                commands = commands_of(queries)
                answers = self._begun(lambda connection: begin(connection, beginning, commands))
                read_ahead = zip(queries, answers, strict=False)  # there may be no answers
                yield kind(self._connection, self._schema, read_ahead)
        finally:
            self._roll_back()
            self._turn.release()

    @contextmanager
    def write(self, actor: str, patience_s: float = PATIENCE_S) -> Iterator[PostgresTransaction]:
        """Run one write transaction and commit it when the block ends.

        actor: who writes. patience_s: how long to wait for another writer. Raises Busy, Full,
        ReadOnly, Gone, Away, StorageFailed or TransactionOpen if nothing was written, or
        OutcomeUnknown.
        """
        with self.prepare(actor, patience_s) as transaction:
            yield transaction
        transaction.commit()

    @contextmanager
    def maintain(self) -> Iterator[PostgresTransaction]:
        """Run one write transaction as the owner of the tables, to change tables.

        Raises NotAllowed if this user may not act as the owner, and the errors of `write`.
        """
        with self.write(actor="") as transaction:
            owner, may_act, in_recovery = transaction.query(OWNER)[0]
            if in_recovery:
                raise OnStandby(self.label)
            if not may_act:
                what = f"only {owner}, the owner of the tables, may rebuild the views"
                raise NotAllowed(self.label, what, f"connect as a member of {owner} for a replay")
            transaction.act_as(owner)
            yield transaction

    def refuse_moving(self) -> None:
        """Raise NotAllowed if this user may not move the queue to another place."""
        with self.read() as tx:
            owner, may_act, _ = tx.query(OWNER)[0]
        if not may_act:
            what = f"only {owner}, the owner of the queue, may move it to another place"
            raise NotAllowed(self.label, what, f"connect as a member of {owner} for it")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate errors; look for the cause of those that have several."""
        try:
            with translated(self.label):
                yield
        except (Incomplete, OnStandby) as error:
            self._roll_back()
            raise with_cause(error, self._open_connection, self._address) from None

    @contextmanager
    def prepare(
        self, actor: str, patience_s: float = PATIENCE_S, ahead: Ahead = tuple
    ) -> Iterator[PostgresTransaction]:
        """Run one write transaction up to its commit, which the caller runs: `transaction.commit`.

        The commit may run in another thread, once. Until it has returned or raised, nothing else
        may use this log. ahead: as for `read`; `query` returns their rows until something is
        written. Other parameters and errors are those of `write`.
        """
        if self.readonly:
            raise ReadOnly(self.label)
        self._take_turn()
        try:
            with self._translated():
                begun = self._begin_writing(patience_s, list(ahead()))
                transaction = PostgresTransaction(self._connection, self._schema, actor, begun)
                yield transaction
                transaction.flush()
        except BaseException:  # release the write lock after any error, also after Ctrl-C
            self._roll_back()
            self._turn.release()
            raise
        transaction.commit = partial(self._commit, transaction)

    def head(self) -> Head:
        """Return the position and hash of the last record. It is on the server's disk."""
        with self.read() as tx:
            head = tx.head()
        with translated(self.label):
            if not is_flushed(self._connection):
                wait_until_flushed(self._connection, "standbys")
        self._durable = head
        return head

    def wall_us(self) -> int:
        """Return the time by the server's clock: UTC, microseconds.

        It is computed from the last transaction and this machine's monotonic clock. The server is
        asked only if there was none. Raises Away.
        """
        if self._clock_offset_us is None:
            self._take_turn()
            try:
                with translated(self.label):
                    self._set_clock(self._connection.execute(TIME).fetchall()[0][0])
            finally:
                self._turn.release()
        assert self._clock_offset_us is not None
        return _monotonic_us() + self._clock_offset_us

    def refuse_gone(self) -> None:
        """Raise Gone if the queue was removed, or replaced by another one.

        During a transaction, which has seen the queue, nothing is checked.
        """
        if not self._turn.acquire(blocking=False):
            return
        try:
            with translated(self.label):
                self._refuse_gone()
        finally:
            self._turn.release()

    def _refuse_gone(self) -> None:
        statement = f"SELECT CAST(id AS TEXT) FROM {self._schema}.meta".encode()
        try:
            keys = self._begun(lambda connection: connection.execute(statement).fetchall())
        except psycopg.errors.UndefinedTable:
            keys = []
        if keys != [(self.queue_id,)]:
            raise Gone(self.label)

    def _set_clock(self, now_us: int) -> None:
        self._clock_offset_us = now_us - _monotonic_us()

    def alone(self, task: str) -> AbstractContextManager[bool]:
        """Yield True if no other process, on any machine, does this task during the block."""
        from .alone import alone  # rarely needed

        return alone(self._address, self.queue_id, task)

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def _disconnect(self) -> None:
        closing, self._open_connection = self._open_connection, None
        if closing is not None:
            closing.close()

    @property
    def _connection(self) -> Connection:
        """The connection; it is made again if the last one was lost."""
        if self._open_connection is None or self._open_connection.closed:
            self._disconnect()
            connected = connect(self._address)
            self._open_connection = connected.connection
            if connected.queue_id != self.queue_id:
                raise Gone(self.label)
            self._refuse_unfinished(connected.is_complete)
            self._refuse_older_log()
        return self._open_connection

    def _refuse_unfinished(self, is_complete: bool) -> None:
        if not is_complete and self._accept == "complete":
            self._disconnect()
            raise Unfinished(self.label)

    def _refuse_older_log(self) -> None:
        """Raise LogWentBack if a record that was on disk is missing now."""
        assert self._open_connection is not None
        if not self._durable.position:
            return
        stored = self._open_connection.execute(
            HASH_AT.format(schema=with_bindings(self._schema)).encode(),
            {"position": self._durable.position},
        ).fetchall()
        if stored != [(self._durable.hash,)]:
            raise LogWentBack(self.label, self._durable.position)

    def _begun(self, begin_with: Callable[[Connection], Result]) -> Result:
        """Begin a transaction. If the connection was lost since its last use, a new one is made."""
        used = self._open_connection
        try:
            return begin_with(self._connection)
        except psycopg.OperationalError:
            if used is None or used is not self._open_connection or not used.closed:
                raise
            return begin_with(self._connection)

    def _begin_writing(self, patience_s: float, queries: Sequence[Query] = ()) -> Begun:
        """Take the write lock; wait for it at most `patience_s`. Raises Busy or Gone."""
        try:
            begun = self._begun(lambda connection: self._locked(connection, patience_s, queries))
        except psycopg.errors.UndefinedTable:
            self._roll_back()
            if error := hidden(self._open_connection, self._address):
                raise error from None
            begun = None
        except psycopg.errors.LockNotAvailable:
            todo = "wait until it has finished"
            raise Busy(self.label, patience_s, "another process", todo) from None
        if begun is None or begun.queue_id != self.queue_id:
            raise Gone(self.label)
        self._refuse_unfinished(begun.is_complete)
        self._set_clock(begun.now_us)
        return begun

    def _locked(
        self, connection: Connection, patience_s: float, queries: Sequence[Query]
    ) -> Begun | None:
        """Take the write lock; report a wait of more than a second.

        A caller with less patience than usual reports by itself: the report costs its turn.
        """
        take = partial(begin_writing, connection, self._schema, self.queue_id, queries)
        if self._on_wait is None or patience_s < PATIENCE_S:
            return take(patience_s)
        try:
            return take(REPORTED_AFTER_S)
        except psycopg.errors.LockNotAvailable:
            connection.execute("ROLLBACK")
            self._on_wait(f"waiting for another process, which has locked {self.label}")
            return take(patience_s - REPORTED_AFTER_S)

    def _take_turn(self) -> None:
        if not self._turn.acquire(blocking=False):
            raise TransactionOpen(self.label)

    def _roll_back(self) -> None:
        connection = self._open_connection
        if connection is None or connection.closed:
            return
        status = connection.info.transaction_status
        try:
            if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                connection.execute("ROLLBACK")
            elif status != TransactionStatus.IDLE:
                self._disconnect()
        except psycopg.OperationalError:  # lost: the server rolls back
            self._disconnect()

    def _commit(self, transaction: PostgresTransaction) -> None:
        try:
            with self._translated():
                self._make_durable(transaction)
        finally:
            self._roll_back()
            self._turn.release()

    def _make_durable(self, transaction: PostgresTransaction) -> None:
        """Commit, which releases the lock, and then wait until the server has synced the commit.

        So the waits of many writers overlap. Only after it has returned is the commit acknowledged.
        """
        connection = self._open_connection
        assert connection is not None
        try:
            if connection.info.transaction_status == TransactionStatus.INERROR:
                raise StorageFailed(self.label, "a statement had failed before", "try again")
            transaction.run_with(*self._commands_of_commit(connection, transaction))
        except psycopg.OperationalError as error:
            if not is_away(error):
                raise
            self._settle(transaction)
        if transaction.appended:
            position, hash_ = transaction.last
            self._durable = Head(position, hash_.hex())

    def _commands_of_commit(
        self, connection: Connection, transaction: PostgresTransaction
    ) -> list[Command]:
        """Return the commands that announce the news, commit, and wait for the disk."""
        announced = [Command(statement.encode()) for statement in transaction.announcements]
        flushed = self._flushing(connection, transaction) if transaction.changed else []
        return [*announced, Command(b"COMMIT"), *flushed]

    def _flushing(self, connection: Connection, transaction: PostgresTransaction) -> list[Command]:
        return commands(connection, transaction.commit_waits_for)

    def _settle(self, transaction: PostgresTransaction) -> None:
        """Return if a commit without an answer is stored. Raises Away if it is not.

        Raises OutcomeUnknown if the server does not come back in time.
        """
        self._disconnect()
        if not transaction.appended:
            what = "the connection was lost during a commit without events"
            if not transaction.changed:
                raise Away(self.label, what)
            raise StorageFailed(self.label, what, "try again")
        position, hash_ = transaction.last
        began_s = time.monotonic()
        while True:
            try:
                with translated(self.label):
                    stored = self._look(position)
                    if stored == hash_.hex():
                        run(self._connection, self._flushing(self._connection, transaction))
                        return
            except (Away, Busy):
                if time.monotonic() > began_s + self.settles_within_s:
                    cause = "the connection to the server was lost"
                    raise OutcomeUnknown(self.label, position, cause) from None
                time.sleep(SETTLE_PAUSE_S)
                continue
            raise Away(self.label, "the connection was lost before the commit")

    def _look(self, position: int) -> str | None:
        """Return the hash stored at the position.

        With the lock: the lost session held it until its commit had succeeded or failed. Without
        it, the commit could still follow after this look.
        """
        self._begin_writing(PATIENCE_S)
        try:
            return PostgresReader(self._connection, self._schema).hash_at(position)
        finally:
            self._roll_back()


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
