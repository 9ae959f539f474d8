"""Creating a queue on a server: its schema, completely or not at all, and its roles."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ForeignFile, NotAllowed, NotCreated
from ..store import Schema
from .address import Address, quoted
from .connecting import Connection, connect_to_server, has_queue
from .failures import translated
from .roles import Roles, creation_of, grants_to, roles_of
from .schema import CREATION_LOCK, LOCK_CLASS
from .scripts import creation

_LOCK = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {CREATION_LOCK})"

# A queue that was reported as created is on disk, whatever the server's default is.
_DURABLE = "SET LOCAL synchronous_commit = on"

_TABLES = """
    SELECT relname FROM pg_class
     WHERE relnamespace = to_regnamespace(%(schema)s) ORDER BY relname LIMIT 1"""

_OWNER = """
    SELECT pg_get_userbyid(relowner) FROM pg_class
     WHERE pg_class.oid = to_regclass(%(events)s)"""

_EXISTING_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)"


def create(address: Address, extra: Schema = lambda _: (), owner: str | None = None) -> bool:
    """Create the queue in one transaction; return False if it exists already.

    If another process creates it at the same time, that one is kept. extra: further statements for
    the schema (those of the read models). owner: the role that is to own everything; it is created
    if it is missing. None: the user of the connection. Raises ForeignFile if the schema contains
    something else, NotAllowed, Busy, Full or Away.
    """
    connection = connect_to_server(address)
    try:
        with _for_administrators(address), connection.transaction():
            return _create(connection, address, creation(address, extra, owner))
    finally:
        connection.close()


def create_roles(address: Address) -> tuple[Roles, list[str]]:
    """Create the roles that are missing, and give all of them their rights, in one transaction.

    Return the roles, and the names of those that were created. Raises InvalidAddress, NotCreated,
    NotAllowed or Away.
    """
    roles = roles_of(address)
    connection = connect_to_server(address)
    try:
        with _for_administrators(address), connection.transaction():
            return roles, _create_roles(connection, address, roles)
    finally:
        connection.close()


@contextmanager
def _for_administrators(address: Address) -> Iterator[None]:
    """Translate errors. Who lacks a privilege is advised to ask for more than a grant."""
    try:
        with translated(address.label):
            yield
    except NotAllowed as error:
        what = error.what
        todo = "the administrator can run what queuectl init --print prints"
        raise NotAllowed(address.label, what, todo) from None


def _create(connection: Connection, address: Address, parts: list[str]) -> bool:
    """Create the queue; return False if it exists already."""
    schema = address.quoted_schema
    _run(connection, _DURABLE, _LOCK)
    if has_queue(connection, address):
        return False
    if rows := connection.execute(_TABLES, {"schema": schema}).fetchall():
        raise ForeignFile(address.label, f"contains {rows[0][0]} of another program")
    _run(connection, *parts)
    return True


def _create_roles(connection: Connection, address: Address, roles: Roles) -> list[str]:
    """Create the roles that are missing, and return them. The owner of the tables grants rights."""
    schema = address.quoted_schema
    _run(connection, _DURABLE, _LOCK)
    owners = connection.execute(_OWNER, {"events": f"{schema}.events"}).fetchall()
    if not owners:
        raise NotCreated(address.label)
    rows = connection.execute(_EXISTING_ROLES, {"names": list(roles)}).fetchall()
    existing = {name for (name,) in rows}
    _run(
        connection,
        *creation_of(roles),
        f"SET LOCAL ROLE {quoted(owners[0][0])}",
        f"SET LOCAL search_path = {schema}, pg_temp",
        *grants_to(roles, schema),
    )
    return [role for role in roles if role not in existing]


def _run(connection: Connection, *parts: str) -> None:
    for statement in parts:
        connection.execute(statement.encode())
