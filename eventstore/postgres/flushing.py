"""Waiting until the server has synced all that was committed so far."""

from typing import Literal

from .connecting import Connection
from .round_trip import Command, run

# A message in the WAL, which nobody reads. Its commit waits for the disk, and for standbys.
BY_COMMIT = (
    "BEGIN",
    "SET LOCAL synchronous_commit = on",
    "SELECT pg_logical_emit_message(true, 'queuectl', CAST('' AS TEXT))",
    "COMMIT",
)

# From PostgreSQL 17 on, without a transaction. It waits for the disk, but for no standby.
BY_MESSAGE = ("SELECT pg_logical_emit_message(false, 'queuectl', CAST('' AS TEXT), true)",)

# A standby has no WAL of its own.
IS_FLUSHED = """
    SELECT CASE WHEN pg_is_in_recovery() THEN true
                ELSE pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() END"""


WaitsFor = Literal["disk", "standbys"]
"""Whether a commit waits for the server's own disk only, or for standby servers too."""


def commands(connection: Connection, waits_for: WaitsFor) -> list[Command]:
    """Return the commands that wait until all that was committed before is on the server's disk.

    waits_for: whether they wait for standby servers too. What is on disk is always a beginning of
    the WAL, so a later record covers all before it. Source: the manual of PostgreSQL, "Asynchronous
    Commit".
    """
    by_message = connection.info.server_version >= 170_000 and waits_for == "disk"
    return [Command(text.encode()) for text in (BY_MESSAGE if by_message else BY_COMMIT)]


def wait_until_flushed(connection: Connection, waits_for: WaitsFor) -> None:
    """Wait until all that was committed on the server is on its disk, or on its standbys too."""
    run(connection, commands(connection, waits_for))


def is_flushed(connection: Connection) -> bool:
    """Return True if nothing needs to be waited for."""
    return bool(connection.execute(IS_FLUSHED).fetchall()[0][0])
