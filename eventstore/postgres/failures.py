"""Translating PostgreSQL's errors into those of this package."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import psycopg

from ..errors import (
    Away,
    Full,
    Incomplete,
    NotAllowed,
    OnStandby,
    Rejected,
    StorageFailed,
    StoreError,
)
from .address import DEFAULT_SCHEMA

# Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
_FULL = ("53100",)
_BUSY = ("55P03", "57014")  # lock not available, statement cancelled
NO_PRIVILEGE = "42501"
_READ_ONLY = ("25006",)
_INCOMPLETE = ("3F000", "42P01", "42703", "42883")  # no such schema, table, column, function
_FAILED = ("58030", "XX001", "XX002")  # I/O error, damaged data, damaged index
_LIMIT = ("54000",)  # such as the queue of all notifications of the server
_CREATE = "createdb --encoding=UTF8 --template=template0"

_REJECTED = {
    "certificate": "correct the certificates: sslrootcert names that of the server's authority"
    " (system: those of this machine), and the server's is for the host in the address",
    "server does not support SSL": "set ssl = on on the server, or correct sslmode",
    "permission denied for database": "allow it: GRANT CONNECT ON DATABASE … TO …",
    "is not permitted to log in": "connect as a member of this role, or ALTER ROLE … LOGIN",
    "too many connections for role": "end some of its sessions, or ALTER ROLE … CONNECTION LIMIT",
    "too many connections for database": "end some of its sessions, or ALTER DATABASE …"
    " CONNECTION LIMIT",
    "connection slots are reserved": "end other sessions, or raise max_connections on the server",
    "too many clients already": "end other sessions, or raise max_connections on the server",
    "not currently accepting connections": "name another database, or ALTER DATABASE …"
    " ALLOW_CONNECTIONS true",
    "authentication failed": "correct the user, or the password (~/.pgpass)",
    "no password supplied": "store the password in ~/.pgpass (mode 0600)",
    "no pg_hba.conf entry": "add a line for it to the server's pg_hba.conf, and reload that",
    'database "': f"create it ({_CREATE} NAME), or correct the address",
    "no such database": f"create it ({_CREATE} NAME), or correct the address",
    "does not exist": "correct the user in the address",
}
"""What to do, by a part of the message; the first that matches counts.

A failure to connect has no SQLSTATE: libpq reports only the text. In another language it counts as
away.
"""

_REFUSALS = {
    "28000": "correct the user, or the server's pg_hba.conf",
    "28P01": "correct the user, or the password (~/.pgpass)",
    "3D000": f"create it ({_CREATE} NAME), or correct the address",
    "53300": "end other sessions, or raise max_connections on the server",
}
"""What to do, by the SQLSTATE of a refusal: poolers and later statements report one."""

_AWAY = ("08", "57P", "25P03", "53300")
"""Beginnings: connection lost, server stopping, the session ended by a timeout, no room for one."""

_WORKERS_TABLE = re.compile(r"table (leases|outputs|output_chunks)\b")


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Translate the errors of psycopg. The original is the cause of an error that is a bug."""
    try:
        yield
    except psycopg.Error as error:
        raise _translation(label, error) from error


def is_away(error: psycopg.Error) -> bool:
    """Return True if the connection was lost, or could not be made."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_AWAY)


def _translation(label: str, error: psycopg.Error) -> StoreError:
    what = _first_line(error)
    if error.sqlstate is None and is_away(error):
        todo = next((todo for part, todo in _REJECTED.items() if part in what), None)
        return Rejected(label, what, todo) if todo else Away(label, what)
    return translation_of(label, error.sqlstate or "", what)


def translation_of(label: str, state: str, what: str) -> StoreError:
    """Return the error for a SQLSTATE and the server's message."""
    if state in _REFUSALS:
        return Rejected(label, what, _REFUSALS[state])
    if state.startswith(_AWAY):
        return Away(label, what)
    if state in _FULL:
        return Full(label)
    if state in _BUSY:
        return StorageFailed(label, what, _after_waiting(what))
    if state == NO_PRIVILEGE:
        return NotAllowed(label, what, _needed_role(label, what))
    if state in _READ_ONLY:
        return OnStandby(label)
    if state in _INCOMPLETE:
        return Incomplete(label, what)
    if state in _LIMIT:
        return StorageFailed(label, what, "end the server's sessions that listen in a transaction")
    if state in _FAILED:
        return StorageFailed(label, what, "check the server's disk and log")
    reported = f"the server reports {state}: {what}" if state else what
    return StorageFailed(label, reported, "check the server's log, and queuectl doctor")


def _after_waiting(what: str) -> str:
    if "statement timeout" in what:
        return "raise the setting for this user: ALTER ROLE … SET statement_timeout = 0"
    return "wait for other programs and try again"


def _needed_role(label: str, what: str) -> str:
    """Return what to do if a privilege is missing."""
    queue = re.search(r"[?&]queue=([^&)]*)", label)
    schema = unquote(queue[1]) if queue else DEFAULT_SCHEMA
    if _WORKERS_TABLE.search(what):
        return f"this needs the role {schema}_worker"
    if "for table" in what:
        return f"this needs the role {schema}_client or {schema}_worker"
    if "for schema" in what:
        return f"this needs one of the roles {schema}_reader, {schema}_client, {schema}_worker"
    return "ask the owner of the queue for the privilege"


def _first_line(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    return primary or str(error).partition("\n")[0] or "the connection was lost"
