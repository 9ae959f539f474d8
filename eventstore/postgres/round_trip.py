"""Sending several statements at once: the server answers all of them in one round trip.

They are sent as one text with the values in it, which psycopg quotes. With arrays that takes less
than half the time of bound values. Pipelines of psycopg are not used: they may end with a Flush
message, after which the server no longer ends a transaction that is idle for too long. See
docs/decisions/0023.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from ..store import Bindings, Row
from .connecting import Connection

Cursor = psycopg.Cursor[tuple[Any, ...]]


class Command(NamedTuple):
    """A statement, as psycopg takes it, and the values that it binds."""

    statement: bytes
    bindings: Bindings | Sequence[Any] = ()


def run(connection: Connection, commands: Sequence[Command]) -> Cursor:
    """Run the commands in order, in one round trip, and return the result of the last one.

    After one that fails, none is run. Raises psycopg.Error.
    """
    return last_result(_sent(connection, commands))


def last_result(cursor: Cursor) -> Cursor:
    """Return the cursor on the result of the last statement of a message."""
    while cursor.nextset():
        pass
    return cursor


def begin(connection: Connection, beginning: bytes, queries: Sequence[Command]) -> list[list[Row]]:
    """Begin a transaction and run queries in it, in one round trip.

    beginning: statements, whose `%` are doubled (`with_bindings`). Return the rows of each
    statement that returns any, those of the beginning first. If one of the queries cannot be run,
    such as without its table, only the beginning is run. Raises psycopg.Error.
    """
    try:
        return _all_rows(_sent(connection, [Command(beginning), *queries]))
    except psycopg.ProgrammingError:
        if not queries:
            raise
        connection.execute("ROLLBACK")
        return begin(connection, beginning, ())


def _all_rows(cursor: Cursor) -> list[list[Row]]:
    all_rows = []
    while True:
        if cursor.description is not None:
            all_rows.append(cursor.fetchall())
        if not cursor.nextset():
            return all_rows


def _sent(connection: Connection, commands: Sequence[Command]) -> Cursor:
    """Send the commands, and return a cursor on the result of the first one."""
    quoting = psycopg.ClientCursor(connection)
    texts = [quoting.mogrify(statement, bindings) for statement, bindings in commands]
    return connection.execute(";".join(texts).encode())
