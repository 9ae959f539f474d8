"""The rows by which writers know that somebody follows the log, or the output of an attempt."""

import os
import secrets
import time
from math import inf

import psycopg

from .address import with_bindings
from .connecting import Connection
from .schema import LOCK_CLASS, NOW_US

FOLLOW_EVERY_S, FOLLOW_US = 10.0, 30_000_000
"""How often a follower renews its row, and how long the row is valid."""

FORGOTTEN_US = 3_600_000_000
"""The next follower deletes the rows of others that have been invalid for this time."""

LOG = "log"
"""What a follower of the log follows."""

# With the lock of the writers: all that began earlier have committed before the row is there, and
# all later ones see the row. So no commit is missed.
BEGIN_TO_FOLLOW = f"""
    SELECT set_config('lock_timeout', '5s', true), set_config('synchronous_commit', 'off', true);
    SELECT pg_advisory_xact_lock({LOCK_CLASS}, {{lock}});
    DELETE FROM {{schema}}.follows WHERE until < {NOW_US} - {FORGOTTEN_US};
    INSERT INTO {{schema}}.follows (who, what, until)
    VALUES ('{{who}}', '{LOG}', {NOW_US} + {FOLLOW_US})
    ON CONFLICT (who) DO UPDATE SET until = excluded.until"""

RENEW = f"""
    UPDATE {{schema}}.follows SET until = {NOW_US} + {FOLLOW_US}
     WHERE who = '{{who}}' AND until > {NOW_US} RETURNING who"""

END = "DELETE FROM {schema}.follows WHERE who = '{who}'"

# The table has a few rows.
IS_FOLLOWED = f"""
    EXISTS (SELECT FROM follows WHERE what = '{LOG}' AND until > {NOW_US})"""

# The table has a few rows.
FOLLOWED_OUTPUTS = f"""
    SELECT what FROM {{schema}}.follows WHERE what <> '{LOG}' AND until > {NOW_US}"""

FOLLOW_OUTPUT = f"""
    INSERT INTO {{schema}}.follows (who, what, until)
    VALUES (%(who)s, %(what)s, {NOW_US} + {FOLLOW_US})
    ON CONFLICT (who) DO UPDATE SET what = excluded.what, until = excluded.until"""

END_OF_OUTPUT = "DELETE FROM {schema}.follows WHERE who = %(who)s"


def lock_number(key: str) -> int:
    """Return the number of the lock that the writers of a queue take: 32 bits of its id, signed."""
    number = int(key[:8], 16)
    return number - 2**32 if number >= 2**31 else number


class LogFollower:
    """The statements for the row of one follower of the log."""

    def __init__(self, key: str, quoted_schema: str) -> None:
        self._key, self._schema = key, quoted_schema
        self._who = f"{os.getpid()}-{secrets.token_hex(8)}"

    def begin(self) -> str:
        """Return the statements that create the row."""
        lock = lock_number(self._key)
        return BEGIN_TO_FOLLOW.format(lock=lock, schema=self._schema, who=self._who)

    def renew(self) -> str:
        """Return the statement that keeps the row valid. It returns no value if it was not."""
        return RENEW.format(schema=self._schema, who=self._who)

    def end(self) -> str:
        """Return the statement that deletes the row."""
        return END.format(schema=self._schema, who=self._who)


def output_name(job_id: str, attempt: int) -> str:
    """Return what a follower of an attempt's output follows."""
    return f"output {attempt} {job_id}"


def followed_outputs(connection: Connection, quoted_schema: str) -> set[str]:
    """Return the names of the outputs that are followed now; see `output_name`."""
    rows = connection.execute(FOLLOWED_OUTPUTS.format(schema=quoted_schema).encode()).fetchall()
    return {name for (name,) in rows}


class OutputFollower:
    """The row of one program that follows outputs on another machine."""

    def __init__(self, quoted_schema: str) -> None:
        self._schema = quoted_schema
        self._who = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._what = ""
        self._renew_at_s = 0.0

    def follow(self, connection: Connection, job_id: str, attempt: int) -> None:
        """Follow this output from now on, instead of the one before. Call it regularly.

        Without the right to do so, nothing is followed. Raises psycopg.Error.
        """
        what, now_s = output_name(job_id, attempt), time.monotonic()
        if now_s < self._renew_at_s and (what == self._what or self._renew_at_s == inf):
            return
        sql = FOLLOW_OUTPUT.format(schema=with_bindings(self._schema)).encode()
        try:
            connection.execute(sql, {"who": self._who, "what": what})
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
            self._renew_at_s = inf
        else:
            self._renew_at_s = now_s + FOLLOW_EVERY_S
        self._what = what

    def end(self, connection: Connection) -> None:
        """Follow nothing any longer. Raises psycopg.Error."""
        if self._what and self._renew_at_s < inf:
            sql = END_OF_OUTPUT.format(schema=with_bindings(self._schema)).encode()
            connection.execute(sql, {"who": self._who})
