"""Queue files that are handled as files: backups, and files that are to be replaced.

The backup of a queue is a queue file, whatever store has the queue. No other process uses it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from .copying import IN_FILES, copy_log, copy_rest
from .errors import ChainBroken, HeadMissing, InUse, StorageFailed
from .sqlite.error_translation import DAMAGED, RESTORE, translated
from .sqlite.lock_holders import users
from .sqlite.log import SqliteStore
from .sqlite.opening import inspect, look_inside
from .sqlite.reader import SqliteReader
from .store import Head, OnProgress, Reader, Store
from .verify import verify

_PATIENCE_MS = 2_000


class Copy(NamedTuple):
    """The content of a verified copy."""

    head: Head
    first_hash: str | None
    """The hash of the first record; None if there is none."""
    in_files: list[tuple[str, int]]
    """Job and attempt of each output that is stored in files."""


class LogEnds(NamedTuple):
    """The parts of a log that show whether it continues another one."""

    end: int
    """Position of its last record."""
    first_hash: str | None
    """The hash of its first record; None if it is empty."""
    hash: str | None
    """The hash at the given position; None if the log ends before it."""


def refuse_other_than_a_queue(path: str) -> None:
    """Raise ForeignFile if the file at `path` is not a queue.

    Only its header is read. Raises StorageFailed if the disk cannot read it.
    """
    look_inside(path)


def log_ends(path: str, position: int) -> LogEnds | None:
    """Return the ends of the log in the queue file at `path`; None if the file is damaged.

    position: the position of the record to compare. Raises Unusable if the file is not a queue of
    this user.
    """
    inspect(path)
    try:
        store = SqliteStore(path, readonly=True)
    except StorageFailed:
        return None
    try:
        with store.read() as tx:
            return LogEnds(tx.head().position, tx.hash_at(1), tx.hash_at(position))
    except (StorageFailed, ChainBroken):
        return None
    finally:
        store.close()


def write_copy(store: Store, path: str, on_progress: OnProgress = lambda _, __: None) -> Head:
    """Copy a queue's current state, as a queue file, into the empty file at `path`.

    Return the head of that state. From a server, only the log and the short outputs are copied, not
    the tables next to the log. The copy is not synced to disk yet. Raises Full, ReadOnly,
    StorageFailed or Away.
    """
    if isinstance(store, SqliteStore):
        return store.copy_to(path, on_progress)
    from .sqlite import creating

    creating.fill(path)
    with closing(SqliteStore(path)) as copy:
        copy_log(store, copy, on_progress)
        with store.read() as tx:
            return copy_rest(tx, copy)


def check_copy(
    path: str,
    source: str,
    expected: Head | None,
    on_progress: OnProgress = lambda _, __: None,
) -> Copy:
    """Check each page and each record of a copy that no other process has open; change nothing.

    source: the file that error messages name. expected: a head that the log must contain.
    Raises ChainBroken if the log was changed, HeadMissing if it does not contain `expected`, and
    StorageFailed if a page is damaged.
    """
    with open_copy(path, source) as tx:
        verdict = verify(tx, expected, on_progress)
        if verdict.broken:
            raise ChainBroken(*verdict.broken)
        if expected is not None and verdict.contradicts:
            raise HeadMissing(expected.position, verdict.records, verdict.actual_hash)
        if problem := tx.damage():
            raise StorageFailed(source, f"the file is damaged ({problem})", RESTORE)
        in_files = [(job, attempt) for job, attempt in tx.rows(IN_FILES)]
        return Copy(verdict.head, tx.hash_at(1), in_files)


def first_hash_of_copy(path: str) -> str | None:
    """Return the hash of the first record of a copy that no other process has open.

    Files with the same first hash are states of the same queue. None if the log is empty. Raises
    StorageFailed if the copy is damaged.
    """
    with open_copy(path, path) as tx:
        return tx.hash_at(1)


def delete_outputs(path: str, outputs: Iterable[tuple[str, int]]) -> None:
    """Delete the outputs of these attempts (job and number) from a new copy. Nothing is synced.

    Raises Full or StorageFailed.
    """
    with translated(path):
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)
        try:
            # Exclusive: no -shm. Closing moves the -wal into the file.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF").fetchall()
            with connection:
                connection.executemany(DELETE_OUTPUT, outputs)
        finally:
            connection.close()


@contextmanager
def open_copy(path: str, name: str) -> Iterator[Reader]:
    """Read a copy without locking it and without creating files next to it.

    name: the file that error messages name.
    """
    uri = f"{Path(path).as_uri()}?immutable=1"
    with translated(name):
        connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        with translated(name):
            yield SqliteReader(connection)
    finally:
        connection.close()


@contextmanager
def exclusive_use(path: str) -> Iterator[None]:
    """Keep other processes from opening the file while the block runs.

    All records are moved into the file, and its -wal and -shm are removed: otherwise SQLite would
    use them for the next file of this name. If the file is damaged, they are kept. Raises InUse if
    another process has the file open.
    """
    with translated(path):
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        _lock(connection, path)
        yield
    finally:
        connection.close()


def _lock(connection: apsw.Connection, path: str) -> None:
    """Take SQLite's exclusive lock, which conflicts with every open connection."""
    connection.set_busy_timeout(_PATIENCE_MS)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        connection.execute("BEGIN IMMEDIATE; COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        raise InUse(path, [str(user) for user in users(path)]) from None
    except DAMAGED:
        if processes := users(path):
            raise InUse(path, [str(user) for user in processes]) from None
        return
    except apsw.Error as error:
        raise StorageFailed(path, str(error)) from None
    for part in (f"{path}-wal", f"{path}-shm"):
        try:
            os.unlink(part)
        except FileNotFoundError:
            pass


def library_versions() -> dict[str, str]:
    """Return the versions of SQLite and of APSW."""
    return {"sqlite": apsw.sqlite_lib_version(), "apsw": apsw.apsw_version()}


# By the primary key.
DELETE_OUTPUT = "DELETE FROM outputs WHERE job = ? AND attempt = ?"
