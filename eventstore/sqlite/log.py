"""An open queue file: its transactions and their commits, also failed ones.

A store belongs to one thread. A worker may run the commit of a write transaction on its committer
thread; until that has returned, the store must not be used. See docs/decisions/0010.
"""

import os
import time
from _thread import allocate_lock  # threading.Lock, without the import of its module
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

import apsw

from ..errors import (
    Full,
    Gone,
    ReadOnly,
    StorageFailed,
    StoreError,
    TransactionOpen,
)
from ..file_identity import file_identity, key_of
from ..lock import Lock
from ..side_folder import SideFolder
from ..store import PATIENCE_S, Ahead, Head, OnProgress, RingsFor
from .busy_wait import OnWait, Patience
from .doorbell import SqliteDoorbell, SqliteGuardedDoorbell, ring
from .error_translation import busy, translated
from .file_name import record_use
from .opening import connect, connect_to_file
from .reader import SqliteReader
from .transaction import SqliteTransaction, settle
from .wal_owner import record_wal

if TYPE_CHECKING:
    from ..output_files import OutputFiles, Piece

WAL_RESET_BYTES = 64 << 20
"""Size above which the WAL is reset to length 0."""
COMMITS_PER_CHECK = 16
"""The size of the WAL is checked after this many commits."""
RESET_PATIENCE_S, RESET_PAUSE_S = 0.1, 2.0
"""How long a reset may block other writers, and the pause after a reset that failed."""


class SqliteStore:
    """An open queue file."""

    own_commits_ring = True

    distant = False
    settles_within_s = 0.0

    def __init__(
        self,
        path: str,
        *,
        readonly: bool = False,
        on_wait: OnWait | None = None,
        wall_us: Callable[[], int] | None = None,
    ) -> None:
        """Open the file at `path`.

        on_wait: called once if the store waits for a lock for longer than a second. wall_us: the
        clock for records (UTC, microseconds); None means the clock of this machine.
        """
        self.path = self.label = path
        self.readonly = readonly
        self.wall_us = wall_us or _machine_us
        """The clock for records: UTC, microseconds."""
        self.side_folder = SideFolder(f"{path}.d")
        self._patience = Patience(path, on_wait)
        self._open_connection: apsw.Connection | None
        self._open_connection, self._file = connect_to_file(path, readonly, self._patience)
        self.key = self.queue_id = key_of(self._file)
        self._turn = allocate_lock()
        """Locked while a transaction is open: a connection can have only one at a time."""
        self._commits, self._reset_at_s = 0, 0.0
        """Number of commits so far; monotonic time before which the WAL is not reset again."""
        self._path_is: Literal["unknown", "new", "recorded"] = "unknown"
        """Whether `path` is recorded in the file. `new`: it is recorded, but only in the -wal."""

    @contextmanager
    def read(self, _: Ahead = tuple) -> Iterator[SqliteReader]:
        """Return a snapshot of the database that is valid until the block ends.

        Nothing is read ahead: only a store on a server gains from that. Raises TransactionOpen if a
        transaction of this store is open.
        """
        self._take_turn()
        try:
            with translated(self.path):
                self._connection.execute("BEGIN")
                try:
                    yield SqliteReader(self._connection)
                finally:
                    self._roll_back()
        finally:
            self._turn.release()

    def read_log(self) -> AbstractContextManager[SqliteReader]:
        """Return a snapshot: one that lasts only keeps the -wal from being reset."""
        return self.read()

    @contextmanager
    def write(self, actor: str, patience_s: float = PATIENCE_S) -> Iterator[SqliteTransaction]:
        """Run one write transaction, commit it when the block ends, and ring all doorbells.

        actor: the name to record. patience_s: how long to wait for another writer. Raises Busy,
        Full, ReadOnly, Gone, StorageFailed or TransactionOpen if nothing was written, or
        OutcomeUnknown.
        """
        with self.prepare(actor, patience_s) as transaction:
            yield transaction
        transaction.commit()

    def refuse_moving(self) -> None:
        """Do nothing: who may write the file may move the queue."""

    def maintain(self) -> AbstractContextManager[SqliteTransaction]:
        """Return a write transaction that changes tables, and appends no events."""
        return self.write(actor="")

    @contextmanager
    def prepare(
        self, actor: str, patience_s: float = PATIENCE_S, _: Ahead = tuple
    ) -> Iterator[SqliteTransaction]:
        """Run one write transaction up to its commit, which the caller runs: `transaction.commit`.

        The commit may run in another thread, once. Until it has returned or raised, nothing else
        may use this store. Parameters and errors are those of `write`.
        """
        if self.readonly:
            raise ReadOnly(self.path)
        self._take_turn()
        try:
            with translated(self.path):
                self._begin(patience_s)
                self.refuse_gone()
                self._record_use()
                transaction = SqliteTransaction(self._connection, actor, self.wall_us())
                yield transaction
                transaction.flush()
        except BaseException:  # release the write lock after any error, also after Ctrl-C
            try:
                self._roll_back()
            finally:
                self._turn.release()
            raise
        transaction.commit = partial(self._commit, transaction)

    def head(self) -> Head:
        """Return the position and hash of the last record."""
        with self.read() as tx:
            return tx.head()

    def output_files(self, job_id: str, attempt: int, limit_bytes: int) -> "OutputFiles":
        """Return the files for an attempt's long output; they are created by the first write."""
        from ..output_files import OutputFiles  # only for workers

        folder = partial(self.side_folder.folder, "outputs")
        return OutputFiles(folder, job_id, attempt, limit_bytes)

    def pieces(self, job_id: str, attempt: int, since: int = 0) -> Iterator["Piece"]:
        """Yield the pieces that an attempt's files contain now, in order.

        since: the offset in bytes at which to begin.
        """
        from ..output_files import pieces  # most commands read no output

        return pieces(self.side_folder.existing("outputs"), job_id, attempt, since)

    def writes_here(self, job_id: str, attempt: int) -> bool:
        """Return True: this machine has the files of all attempts."""
        return True

    def has_all(self, job_id: str, attempt: int, kept_bytes: int) -> bool:
        """Return True: the output of all attempts is on this machine."""
        return True

    def follow_output(self, job_id: str, attempt: int) -> None:
        """Do nothing: all attempts run on this machine."""

    def copy_to(self, path: str, on_progress: OnProgress = lambda _, __: None) -> Head:
        """Copy the queue's current state into the empty file at `path`; return its head.

        The copy is not synced to disk yet. Raises Full, ReadOnly or StorageFailed.
        """
        from .copying import copy_pages  # only for backups

        return copy_pages(self.path, path, on_progress)

    def lock(self, name: str) -> Lock:
        """Return the lock with this name; it is not acquired yet."""
        return Lock(self.side_folder.folder("locks"), name)

    @contextmanager
    def alone(self, task: str) -> Iterator[bool]:
        """Yield True if no other process does this task during the block."""
        lock = self.lock(task)
        if not lock.acquire():
            yield False
            return
        try:
            yield True
        finally:
            lock.remove()

    def last_beats(self) -> dict[str, int]:
        """Return nothing: the locks of the kernel show that a worker lives."""
        return {}

    def lives(self) -> None:
        """Return None: the locks of the kernel show that a worker has died."""
        return

    def doorbell(self) -> SqliteDoorbell:
        """Return a new doorbell for this process."""
        return SqliteDoorbell(self.side_folder.folder("bells"))

    def guarded_doorbell(self, rings_for: RingsFor = "everything") -> SqliteGuardedDoorbell:
        """Return a new doorbell that is created again if another program removes it.

        It rings for each commit, whatever `rings_for` is: that costs little on one machine.
        """
        return SqliteGuardedDoorbell(partial(self.side_folder.folder, "bells"))

    def listeners(self) -> set[int]:
        """Return the pids of the processes that have a doorbell."""
        names = self.side_folder.names("bells")
        return {int(pid) for name in names if (pid := name.partition("-")[0]).isdecimal()}

    def ring(self) -> None:
        """Wake all listeners. Never fails."""
        try:
            folder = self.side_folder.existing("bells")
        except StoreError:  # others may write to the folder, or no descriptor is free
            return
        if folder is not None:
            ring(folder)

    def has_open(self, pid: int) -> bool:
        """Return True if a process has this very file open, not a copy of it.

        False if its open files may not be read.
        """
        from .lock_holders import has_open  # rarely needed

        return has_open(pid, self._file)

    def refuse_gone(self) -> None:
        """Raise Gone if the path now leads to another file, or to none.

        Records that are written to a deleted file are lost when this process ends.
        """
        if file_identity(self.path) != self._file:
            raise Gone(self.path)

    def close(self) -> None:
        """Close the file and its side folder."""
        self._disconnect()
        self.side_folder.close()

    @property
    def _connection(self) -> apsw.Connection:
        """The connection. It is opened again if it was closed after an I/O error."""
        if self._open_connection is None:
            with translated(self.path):
                self._open_connection = connect(
                    self.path, readonly=self.readonly, patience=self._patience
                )
        return self._open_connection

    def _disconnect(self) -> None:
        closing, self._open_connection = self._open_connection, None
        if closing is not None:
            closing.close()  # this may delete the -wal, in which the owner is recorded
            self._path_is = "unknown"

    def _begin(self, patience_s: float) -> None:
        """Take the write lock; wait for it at most `patience_s`. Raises Busy."""
        self._patience.limit_s = patience_s
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            raise busy(self.path, patience_s) from None
        finally:
            self._patience.limit_s = PATIENCE_S

    def _record_use(self) -> None:
        """Record the path in the file, in the first write transaction of this store."""
        if self._path_is == "recorded":
            return
        record_wal(self.path)
        if record_use(self._connection, self.path, self.path):
            self._path_is = "new"
        elif self._path_is == "unknown":
            self._path_is = "recorded"

    def _take_turn(self) -> None:
        """Begin the only transaction of this store. Raises TransactionOpen if one is open."""
        if not self._turn.acquire(blocking=False):
            raise TransactionOpen(self.path)

    def _roll_back(self) -> None:
        if self._open_connection is not None and self._open_connection.in_transaction:
            self._open_connection.execute("ROLLBACK")

    def _commit(self, transaction: SqliteTransaction) -> None:
        try:
            self._complete(transaction)
        finally:
            self._turn.release()

    def _complete(self, transaction: SqliteTransaction) -> None:
        """Commit, then wake the listeners, and now and then reset the WAL."""
        self._make_durable(transaction)
        if self._path_is == "new":
            self._publish_path()
        if transaction.appended:
            self.ring()
        self._commits += 1
        if self._commits % COMMITS_PER_CHECK == 0:
            self._bound_wal()

    def _bound_wal(self) -> None:
        """Reset the WAL to length 0 if it is large.

        SQLite reuses the WAL only after a commit during which no reader is active. If there is
        always a reader, the WAL grows without limit, even after its content is in the file.
        """
        now_s = time.monotonic()
        if now_s < self._reset_at_s or _size(f"{self.path}-wal") <= WAL_RESET_BYTES:
            return
        self._patience.limit_s = RESET_PATIENCE_S
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error:
            self._reset_at_s = now_s + RESET_PAUSE_S  # a reader is active for longer
        finally:
            self._patience.limit_s = PATIENCE_S

    def _publish_path(self) -> None:
        """Move the new path from the -wal into the file itself.

        A process that opens the file by a second name reads only the file.
        """
        try:
            in_wal, moved = self._connection.wal_checkpoint()
        except apsw.Error:
            return  # the next transaction tries again
        if in_wal == moved:
            self._path_is = "recorded"

    def _make_durable(self, transaction: SqliteTransaction) -> None:
        """Commit; raise the store's error if that fails. See `settle` for an I/O error."""
        try:
            self._connection.execute("COMMIT")
        except apsw.FullError:
            self._roll_back()
            raise Full(self.path) from None
        except apsw.BusyError:
            self._roll_back()
            raise busy(self.path, PATIENCE_S) from None
        except apsw.IOError as error:
            self._roll_back()
            if not transaction.appended:
                raise StorageFailed(self.path, str(error)) from None
            settle(self.path, transaction.last, self._reopened)

    def _reopened(self) -> apsw.Connection:
        self._disconnect()
        return self._connection


def _machine_us() -> int:
    return time.time_ns() // 1000


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
