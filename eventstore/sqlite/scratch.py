"""A database of nobody else's, to rebuild read models in: it goes when it is closed."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from .transaction import SqliteTransaction


@contextmanager
def scratch() -> Iterator[SqliteTransaction]:
    """An empty temporary database. It spills to disk, so memory stays flat."""
    connection = apsw.Connection("", statementcachesize=200)
    try:
        connection.execute("CREATE TABLE events (position INTEGER, hash BLOB)")
        connection.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN").fetchall()
        yield SqliteTransaction(connection, "", 0)
    finally:
        connection.close()
