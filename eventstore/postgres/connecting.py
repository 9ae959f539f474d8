"""Connecting to a server, and recognizing the queue in its schema.

All that a transaction needs is set in it and ends with it, and no statement is prepared: so a
pooler may pass each transaction to another server process.
"""

from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper

from ..errors import ForeignFile, InvalidAddress, NewerFile, NotCreated
from .address import Address
from .failures import translated
from .schema import FORMAT, OLDEST_SERVER

Connection = psycopg.Connection[tuple[Any, ...]]

OPTIONS = {
    "application_name": "queuectl",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Of libpq, if the address says nothing else: a silent network is noticed in 10 to 25 s."""

_HAS_META = "SELECT to_regclass(%(meta)s) IS NOT NULL"
# Any role may read the identifier of the server, unless its administrator has revoked that.
_META = """
    SELECT CAST(id AS TEXT), format, complete, {server}, pg_database.oid, relnamespace
      FROM {schema}.meta JOIN pg_class ON pg_class.oid = meta.tableoid
      JOIN pg_database ON datname = current_database()"""
_SERVER = "(SELECT system_identifier FROM pg_control_system())"


class _TruthAsNumber(Int8Dumper):
    """Passes True as 1 and False as 0: tables have no other type for them."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class Connected(NamedTuple):
    """A connection to a queue."""

    connection: Connection
    queue_id: str
    """The id of the queue. A copy of it, in another database or on another server, has the same."""
    key: str
    """Identifies the queue: no copy of it has the same key, unless all files of the server were
    copied. A standby that is promoted keeps it.
    """
    is_complete: bool
    """False while a migration into the queue is under way."""


def connect(address: Address, application_name: str | None = None) -> Connected:
    """Return a connection to the queue.

    application_name: as the server shows it; None for that of the address, or `queuectl`. Raises
    NotCreated, ForeignFile, NewerFile, NotAllowed or Away.
    """
    connection = connect_to_server(address, application_name)
    try:
        with translated(address.label):
            queue_id, format_, is_complete, *place = _meta(connection, address)
        if format_ > FORMAT:
            raise NewerFile(address.label, format_, FORMAT)
    except BaseException:
        connection.close()
        raise
    key = str(uuid5(UUID(queue_id), " ".join(map(str, place))))
    return Connected(connection, queue_id, key, is_complete)


def connect_to_server(
    address: Address, application_name: str | None = None, connect_timeout_s: int | None = None
) -> Connection:
    """Return a connection that commits by itself. Raises InvalidAddress, ForeignFile or Away.

    connect_timeout_s: None for that of the address.
    """
    options: dict[str, Any] = {**OPTIONS, **_of_libpq(address), "client_encoding": "utf8"}
    if application_name is not None:
        options["application_name"] = application_name
    if connect_timeout_s is not None:
        options["connect_timeout"] = connect_timeout_s
    with translated(address.label):
        connection = psycopg.connect(autocommit=True, prepare_threshold=None, **options)
    # By default, the type of a number depends on its size, and each mix of sizes is another
    # statement for the server.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(bool, _TruthAsNumber)
    try:
        _refuse_unfit(connection, address.label)
    except BaseException:
        connection.close()
        raise
    return connection


def _of_libpq(address: Address) -> dict[str, Any]:
    """Return the parameters of the connection. Raises InvalidAddress."""
    try:
        return conninfo_to_dict(address.url)
    except psycopg.ProgrammingError as error:
        raise InvalidAddress(address.label, str(error).strip()) from None


def _refuse_unfit(connection: Connection, label: str) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise ForeignFile(label, f"is on a server of version {version // 10_000}; 14 is needed")
    if (actual := connection.info.parameter_status("server_encoding")) != "UTF8":
        todo = "create one: createdb --encoding=UTF8 --template=template0 NAME"
        what = f"is in a database with the encoding {actual}, and UTF8 is needed"
        raise ForeignFile(label, what, todo)


def _meta(connection: Connection, address: Address) -> tuple[Any, ...]:
    """Return the row of `meta`, and the numbers of the server, the database and the schema."""
    if not has_queue(connection, address):
        raise NotCreated(address.label)
    try:
        rows = _rows_of_meta(connection, address, _SERVER)
    except psycopg.errors.InsufficientPrivilege:  # also if `meta` may not be read
        rows = _rows_of_meta(connection, address, "0")
    if len(rows) != 1:
        raise ForeignFile(address.label, "has a table meta that is not that of a queue")
    return rows[0]


def has_queue(connection: Connection, address: Address) -> bool:
    """Return whether there is a queue, or at least its table `meta`."""
    meta = f"{address.quoted_schema}.meta"
    return bool(connection.execute(_HAS_META, {"meta": meta}).fetchall()[0][0])


def _rows_of_meta(connection: Connection, address: Address, server: str) -> list[tuple[Any, ...]]:
    statement = _META.format(schema=address.quoted_schema, server=server)
    return connection.execute(statement.encode()).fetchall()
