"""A database of nobody else's, to rebuild read models in: it goes when it is closed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import apsw

from .schema import EVENTS, OUTPUTS
from .transaction import SqliteTransaction


@contextmanager
def scratch(schema: Iterable[str]) -> Iterator[SqliteTransaction]:
    """A temporary database with these tables, empty. It spills to disk, so memory stays flat."""
    connection = apsw.Connection("", statementcachesize=200)
    try:
        for statement in (EVENTS, OUTPUTS):
            connection.execute(statement)
        connection.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN").fetchall()
        for statement in schema:
            connection.execute(statement)
        yield SqliteTransaction(connection, "", 0)
    finally:
        connection.close()
