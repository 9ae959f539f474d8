"""Finding out why a statement failed, if the same error has several causes."""

import re
from typing import Any

import psycopg

from ..errors import Gone, Incomplete, NotAllowed, OnStandby, StoreError
from .address import Address
from .connecting import Connection
from .failures import NO_PRIVILEGE, translation_of

# Without this right, PostgreSQL skips a schema of the search path.
MAY_USE = """
    SELECT coalesce(has_schema_privilege(CAST(to_regnamespace(%(schema)s) AS oid), 'USAGE'), true)
    """

IN_RECOVERY = "SELECT pg_is_in_recovery()"

_NO_QUEUE = re.compile(r'relation "(.*\.)?meta" does not exist')
"""The table that each queue has: without it, the queue was deleted."""

READ_ONLY = "the setting default_transaction_read_only is on"
SET_READ_WRITE = (
    "set it to off for this user or database: ALTER ROLE … SET, ALTER DATABASE … SET, or in the"
    " address or postgresql.conf"
)


def with_cause(error: StoreError, connection: Connection | None, address: Address) -> StoreError:
    """Return the error, or another one that names the cause. No transaction is open."""
    if isinstance(error, Incomplete):
        if cause := hidden(connection, address):
            return cause
        return Gone(address.label) if _NO_QUEUE.search(error.what) else error
    if isinstance(error, OnStandby) and _answer(connection, IN_RECOVERY, address) is False:
        return NotAllowed(address.label, READ_ONLY, SET_READ_WRITE)
    return error


def hidden(connection: Connection | None, address: Address) -> StoreError | None:
    """Return NotAllowed if the user sees no tables, as it may not use the schema."""
    if _answer(connection, MAY_USE, address) is not False:
        return None
    what = f"permission denied for schema {address.schema}"
    return translation_of(address.label, NO_PRIVILEGE, what)


def _answer(connection: Connection | None, sql: str, address: Address) -> Any:
    """Return the only value of a query about the schema; None if the server is away."""
    if connection is None:
        return None
    try:
        rows = connection.execute(sql.encode(), {"schema": address.quoted_schema}).fetchall()
    except psycopg.Error:
        return None
    return rows[0][0]
