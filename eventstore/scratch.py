"""A private temporary database, in which read models are rebuilt for comparison.

It is an SQLite database, whatever store has the queue.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .dialect import SQLITE
from .store import Schema, Writer


@contextmanager
def scratch(schema: Schema) -> Iterator[Writer]:
    """Return a transaction on an empty temporary database with these tables.

    SQLite moves it to disk if it grows, so memory stays constant; it is deleted when closed.
    """
    import apsw

    from .sqlite.schema import EVENTS, OUTPUTS
    from .sqlite.transaction import SqliteTransaction

    connection = apsw.Connection("", statementcachesize=200)
    try:
        for statement in (EVENTS, OUTPUTS):
            connection.execute(statement)
        connection.execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN").fetchall()
        for statement in schema(SQLITE):
            connection.execute(statement)
        yield SqliteTransaction(connection, "", 0)
    finally:
        connection.close()
