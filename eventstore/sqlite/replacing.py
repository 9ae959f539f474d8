"""Locking a queue file exclusively, so that it can be replaced by another file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ..errors import InUse, StorageFailed
from .error_translation import DAMAGED, translated
from .lock_holders import users

_PATIENCE_MS = 2_000


@contextmanager
def exclusive_use(path: str) -> Iterator[None]:
    """Keep other processes from opening the file while the block runs.

    All records are moved into the file, and its -wal and -shm are removed: SQLite would use them
    for the next file of this name. Those of a damaged file are kept. Raises InUse if another
    process has the file open.
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
