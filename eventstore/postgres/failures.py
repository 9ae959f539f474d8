"""Translating PostgreSQL's errors into those of this package."""

from collections.abc import Iterator
from contextlib import contextmanager

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

# Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
_FULL = ("53100",)
_BUSY = ("55P03", "57014")  # lock not available, statement cancelled
_NOT_ALLOWED = ("42501",)
_READ_ONLY = ("25006",)
_INCOMPLETE = ("3F000", "42P01", "42703", "42883")  # no such schema, table, column, function
_FAILED = ("58030", "XX001", "XX002")  # I/O error, damaged data, damaged index
_LIMIT = ("54000",)  # such as the queue of all notifications of the server
_REJECTED = (
    "authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "no password supplied",
    "certificate",
)
"""Parts of messages. A failure to connect has no SQLSTATE; in other languages it counts as away."""

_AWAY = ("08", "57P", "25P03", "53300")
"""Beginnings: connection lost, server stopping, the session ended by a timeout, no room for one."""


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Translate the errors of psycopg that a user can do something about."""
    try:
        yield
    except psycopg.Error as error:
        translation = _translation(label, error)
        if translation is None:
            raise
        raise translation from None


def is_away(error: psycopg.Error) -> bool:
    """Return True if the connection was lost, or could not be made."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_AWAY)


def _translation(label: str, error: psycopg.Error) -> StoreError | None:
    what = _first_line(error)
    if is_away(error):
        return (
            Rejected(label, what) if any(map(what.__contains__, _REJECTED)) else Away(label, what)
        )
    return translation_of(label, error.sqlstate or "", what)


def translation_of(label: str, state: str, what: str) -> StoreError | None:
    """Return the error for a SQLSTATE and the server's message; None if it is a bug of ours."""
    if state.startswith(_AWAY):
        return Away(label, what)
    if state in _FULL:
        return Full(label)
    if state in _BUSY:
        return StorageFailed(label, what, "wait for other programs and try again")
    if state in _NOT_ALLOWED:
        return NotAllowed(label, what)
    if state in _READ_ONLY:
        return OnStandby(label)
    if state in _INCOMPLETE:
        return Incomplete(label, what)
    if state in _LIMIT:
        return StorageFailed(label, what, "end the server's sessions that listen in a transaction")
    if state in _FAILED:
        return StorageFailed(label, what, "check the server's disk and log")
    return None


def _first_line(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    return primary or str(error).partition("\n")[0] or "the connection was lost"
