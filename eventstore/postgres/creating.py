"""Creating a queue on a server: its schema, completely or not at all."""

from ..dialect import POSTGRES
from ..errors import ForeignFile
from ..store import Schema
from .address import Address
from .connecting import Connection, connect_to_server
from .failures import translated
from .schema import CREATION_LOCK, FORMAT, LOCK_CLASS, statements

_HAS_META = "SELECT to_regclass(%(meta)s) IS NOT NULL"

_TABLES = """
    SELECT relname FROM pg_class
     WHERE relnamespace = to_regnamespace(%(schema)s) ORDER BY relname LIMIT 1"""


def create(address: Address, extra: Schema = lambda _: ()) -> bool:
    """Create the queue in one transaction.

    If it exists, or another process creates it at the same time, that one is kept, and False is
    returned. extra: further
    statements for the schema (those of the read models). Raises ForeignFile if the schema contains
    something else, NotAllowed, Busy, Full or Away.
    """
    connection = connect_to_server(address)
    try:
        with translated(address.label), connection.transaction():
            return _create(connection, address, extra)
    finally:
        connection.close()


def _create(connection: Connection, address: Address, extra: Schema) -> bool:
    """Create the queue; return False if it exists already."""
    schema = address.quoted_schema
    # A queue that was reported as created is on disk, whatever the server's default is.
    connection.execute("SET LOCAL synchronous_commit = on")
    connection.execute(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {CREATION_LOCK})".encode())
    if connection.execute(_HAS_META, {"meta": f"{schema}.meta"}).fetchall()[0][0]:
        return False
    if rows := connection.execute(_TABLES, {"schema": schema}).fetchall():
        raise ForeignFile(address.label, f"contains {rows[0][0]} of another program")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
    connection.execute(f"SET LOCAL search_path = {schema}, pg_temp".encode())
    for statement in (*statements(schema), *extra(POSTGRES)):
        connection.execute(statement.encode())
    connection.execute(
        "INSERT INTO meta VALUES (gen_random_uuid(), %(format)s)", {"format": FORMAT}
    )
    return True
