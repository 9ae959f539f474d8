"""Keeping everyone else away from a queue file, so that another file can take its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ..errors import InUse, StorageFailed
from .error_translation import DAMAGED
from .lock_holders import users

_PATIENCE_MS = 2_000


@contextmanager
def exclusive_use(path: str) -> Iterator[None]:
    """While the block runs nobody else has the file open, and all its records are in it alone.

    No -wal or -shm is beside it then: SQLite would take them for those of the next file of this
    name. Of a damaged file they are left as they are. Raises InUse if another process has it open.
    """
    connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        _lock(connection, path)
        yield
    finally:
        connection.close()


def _lock(connection: apsw.Connection, path: str) -> None:
    """Take the lock that every open connection shares; the -shm is not used then."""
    connection.set_busy_timeout(_PATIENCE_MS)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        connection.execute("BEGIN IMMEDIATE; COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        raise InUse(path, [str(user) for user in users(path)]) from None
    except DAMAGED:
        if found := users(path):
            raise InUse(path, [str(user) for user in found]) from None
        return
    except apsw.Error as error:
        raise StorageFailed(path, str(error)) from None
    for beside in (f"{path}-wal", f"{path}-shm"):
        try:
            os.unlink(beside)
        except FileNotFoundError:
            pass
