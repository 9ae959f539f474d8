"""The SQL that creates a queue on a server, and its roles: for this program, or for psql."""

from collections.abc import Iterable

from ..dialect import POSTGRES
from ..store import Schema
from .address import Address, quoted
from .roles import creation_of, grants_to, role_if_missing, roles_of
from .schema import FORMAT, statements


def creation(address: Address, extra: Schema, owner: str | None) -> list[str]:
    """Return the statements that create the queue. Afterwards its schema is the search path.

    extra: further statements for the schema (those of the read models). owner: the role that is to
    own everything; None: the user that runs them.
    """
    schema = address.quoted_schema
    return [
        *_owned_schema(schema, owner),
        f"SET LOCAL search_path = {schema}, pg_temp",
        *statements(schema),
        *extra(POSTGRES),
        f"INSERT INTO meta VALUES (gen_random_uuid(), {FORMAT})",
    ]


def creation_script(address: Address, extra: Schema, owner: str | None) -> str:
    """Return a script for psql that creates the queue, or nothing if anything fails."""
    return _script(f"The queue {address.schema}.", creation(address, extra, owner))


def roles_script(address: Address, owner: str | None) -> str:
    """Return a script for psql that creates the roles of the queue, and gives them their rights.

    Raises InvalidAddress if their names would be too long.
    """
    roles, schema = roles_of(address), address.quoted_schema
    parts = [
        *creation_of(roles),
        *([f"SET LOCAL ROLE {quoted(owner)}"] if owner else []),
        f"SET LOCAL search_path = {schema}, pg_temp",
        *grants_to(roles, schema),
    ]
    return _script(f"The roles of the queue {address.schema}.", parts)


def _script(title: str, parts: Iterable[str]) -> str:
    body = "".join(f"{part.strip()};\n" for part in ("BEGIN", *parts, "COMMIT"))
    return f"-- {' '.join(title.split())}\n{body}"


def _owned_schema(schema: str, owner: str | None) -> list[str]:
    """Return the statements that create the schema, and act as its owner from then on."""
    if owner is None:
        return [f"CREATE SCHEMA IF NOT EXISTS {schema}"]
    name = quoted(owner)
    return [
        role_if_missing(owner, f" GRANT {name} TO CURRENT_USER;"),
        f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {name}",
        f"SET LOCAL ROLE {name}",
    ]
