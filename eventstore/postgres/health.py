"""Facts about a server and the connection to it, for `doctor`. Nothing is changed."""

import ipaddress
import os
import secrets
import statistics
import time
from contextlib import closing
from typing import Any

import psycopg
from psycopg import pq

from ..errors import NotCreated, StoreError
from ..server_facts import Durability, Link, Rights, ServerFacts, Upkeep
from .address import Address, direct
from .connecting import Connection, connect, connect_to_server
from .failures import translated
from .reader import PostgresReader

ROUND_TRIPS = 7
"""The number of queries to measure."""

HEARD_WITHIN_S = 2.0
"""How long to wait for a notification."""

SETTINGS = """
    SELECT current_setting('server_version'), to_char(current_date, 'YYYY-MM-DD'),
           current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
           pg_is_in_recovery(), current_setting('synchronous_standby_names')"""

# Any user may count the standbys; who may not see their states counts none.
STANDBYS = """
    SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum', 'potential'))
      FROM pg_stat_replication"""

# That of a base backup or of `pg_receivewal` ends with it.
IDLE_SLOTS = """
    SELECT ARRAY(SELECT CAST(slot_name AS TEXT) FROM pg_replication_slots
                  WHERE NOT active ORDER BY slot_name)"""

# Snapshots of this database, of standbys, and of transactions that wait for their second phase.
HELD_BACK = """
    SELECT held, who FROM (
        SELECT age(backend_xmin) AS held,
               concat('process ', pid, ' (', nullif(application_name, '') || ', ',
                      coalesce(usename, backend_type), ')') AS who
          FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
           AND (datname = current_database() OR datname IS NULL)
        UNION ALL
        SELECT age(xmin), concat('replication slot ', slot_name) FROM pg_replication_slots
         WHERE xmin IS NOT NULL
        UNION ALL
        SELECT age(transaction), concat('prepared transaction ', gid) FROM pg_prepared_xacts
         WHERE database = current_database()) AS holders
     ORDER BY held DESC LIMIT 1"""

ROWS = """
    SELECT n_dead_tup, n_live_tup FROM pg_stat_user_tables
     WHERE schemaname = %(schema)s AND relname = 'jobs'"""

# A user sees the states of its own sessions only, unless it may read all statistics.
SESSIONS = """
    SELECT count(*) FILTER (WHERE starts_with(state, 'idle in transaction')
                              AND state_change < clock_timestamp() - INTERVAL '1 minute'),
           count(*), CAST(current_setting('max_connections') AS INTEGER)
      FROM pg_stat_activity WHERE backend_type = 'client backend'"""

# All commits with notifications take the same lock; it counts as one of the database 0.
NOTIFICATIONS = """
    SELECT count(*), pg_notification_queue_usage() FROM pg_locks
     WHERE NOT granted AND locktype = 'object' AND database = 0 AND objid = 0
       AND classid = CAST('pg_database' AS regclass)"""

AUTOVACUUM = """
    SELECT current_setting('autovacuum') = 'on', current_setting('track_counts') = 'on',
           pg_has_role('pg_read_all_stats', 'USAGE'),
           coalesce((
               SELECT CAST(option_value AS BOOLEAN)
                 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                CROSS JOIN LATERAL pg_options_to_table(reloptions)
                WHERE nspname = %(schema)s AND relname = 'jobs'
                  AND option_name = 'autovacuum_enabled'), true)"""

TRANSACTION_AGE = "SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"

RIGHTS = """
    SELECT current_user, rolsuper, pg_has_role(relowner, 'MEMBER'),
           has_table_privilege(pg_class.oid, 'INSERT'),
           has_table_privilege(to_regclass(%(outputs)s), 'INSERT')
      FROM pg_class CROSS JOIN pg_roles
     WHERE pg_class.oid = to_regclass(%(events)s) AND rolname = current_user"""


def examine(address: Address) -> ServerFacts:
    """Return the facts about the server of a queue, which need not exist.

    Raises ForeignFile if the server is too old, or Away.
    """
    with translated(address.label):
        connection = connect_to_server(address)
        try:
            return _examined(connection, address)
        finally:
            connection.close()


def _examined(connection: Connection, address: Address) -> ServerFacts:
    version, today, *settings = _row(connection, SETTINGS)
    idle_slots = _row(connection, IDLE_SLOTS)
    return ServerFacts(
        major=connection.info.server_version // 10_000,
        version=version,
        today=today,
        versions=_versions(version),
        link=_link(connection, address),
        durability=Durability(*settings, *_row(connection, STANDBYS), *idle_slots),
        upkeep=_upkeep(connection, address),
        rights=_rights(connection, address),
        **_guards(connection, address),
    )


def _versions(server: str) -> dict[str, str]:
    libpq = pq.version()
    return {
        "postgresql": server.partition(" ")[0],
        "psycopg": psycopg.__version__,
        "libpq": f"{libpq // 10_000}.{libpq % 10_000}",
    }


def _link(connection: Connection, address: Address) -> Link:
    pid = _row(connection, "SELECT pg_backend_pid()")[0]
    used = {option.keyword.decode(): option.val for option in connection.pgconn.info}
    median_ms, ahead_s = _measured(connection)
    host = connection.info.host
    return Link(
        host="" if host.startswith(("/", "@")) else host,
        is_remote=_is_remote(host, connection.info.hostaddr),
        is_encrypted=connection.pgconn.ssl_in_use,
        sslmode=(used.get("sslmode") or b"").decode(),
        used_password=connection.pgconn.used_password,
        is_direct=pid == connection.info.backend_pid,
        hears=_hears(address),
        round_trip_ms=median_ms,
        clock_ahead_s=ahead_s,
        has_direct="QUEUECTL_DB_DIRECT" in os.environ,
        direct_error=_direct_error(address),
    )


def _direct_error(address: Address) -> str | None:
    """Return why the address in `QUEUECTL_DB_DIRECT` cannot be used; None if nothing is wrong."""
    try:
        named = direct(address)
        if named == address:
            return None
        with closing(connect_to_server(named)):
            pass
        key = _key(address)
        if key is None or _key(named) == key:
            return None
    except StoreError as error:
        return str(error).partition("; ")[0]
    return f"{named.label} leads to another queue"


def _key(address: Address) -> str | None:
    """Return the id of the queue; None if there is none."""
    try:
        connected = connect(address)
    except NotCreated:
        return None
    connected.connection.close()
    return connected.queue_id


def _is_remote(host: str, address: str) -> bool:
    if host.startswith(("/", "@")) or not host:
        return False
    try:
        return not ipaddress.ip_address(address or host).is_loopback
    except ValueError:
        return host != "localhost"


def _measured(connection: Connection) -> tuple[float, float]:
    """Return the median of the round trips in milliseconds, and how much the clock is ahead."""
    trips: list[tuple[float, float]] = []
    for _ in range(ROUND_TRIPS):
        before_s, began = time.time(), time.perf_counter()
        (server_s,) = _row(
            connection, "SELECT CAST(extract(epoch FROM clock_timestamp()) AS FLOAT)"
        )
        took_s = time.perf_counter() - began
        trips.append((took_s, server_s - before_s - took_s / 2))
    return statistics.median(took for took, _ in trips) * 1000, min(trips)[1]


def _hears(address: Address) -> bool:
    """Return whether a worker hears a notification from another connection.

    Like a worker, it listens at the address in `QUEUECTL_DB_DIRECT`, if there is one.
    """
    channel = f"queuectl_probe_{secrets.token_hex(8)}"
    try:
        with (
            translated(address.label),
            closing(connect_to_server(direct(address))) as listener,
            closing(connect_to_server(address)) as other,
        ):
            listener.execute(f"LISTEN {channel}".encode())
            other.execute(f"NOTIFY {channel}".encode())
            heard = list(listener.notifies(timeout=HEARD_WITHIN_S, stop_after=1))
    except (StoreError, psycopg.Error):  # a standby accepts neither
        return False
    return [notification.channel for notification in heard] == [channel]


def _upkeep(connection: Connection, address: Address) -> Upkeep:
    held = connection.execute(HELD_BACK.encode()).fetchall()
    schema = {"schema": address.schema}
    rows = connection.execute(ROWS.encode(), schema).fetchall()
    return Upkeep(
        *(held[0] if held else (0, "")),
        *(rows[0] if rows else (0, 0)),
        *_row(connection, TRANSACTION_AGE),
        *_row(connection, SESSIONS),
        *_row(connection, NOTIFICATIONS),
        *connection.execute(AUTOVACUUM.encode(), schema).fetchall()[0],
    )


def _rights(connection: Connection, address: Address) -> Rights | None:
    tables = {name: f"{address.quoted_schema}.{name}" for name in ("events", "outputs")}
    try:
        rows = connection.execute(RIGHTS.encode(), tables).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return Rights(*rows[0]) if rows else None


def _guards(connection: Connection, address: Address) -> dict[str, tuple[str, ...]]:
    """Return what should protect the log and does not; nothing if there is no queue."""
    try:
        with translated(address.label), connection.transaction():
            connection.execute(f"SET LOCAL search_path = {address.quoted_schema}".encode())
            reader = PostgresReader(connection, address.quoted_schema)
            return {
                "missing_guards": reader.missing_guards(),
                "excess_rights": reader.excess_rights(),
            }
    except StoreError:
        return {}


def _row(connection: Connection, sql: str) -> tuple[Any, ...]:
    return connection.execute(sql.encode()).fetchall()[0]
