"""`init`: create an empty queue, in a file or on a server, and the roles of one on a server."""

from typing import NamedTuple

import click

from eventstore.location import (
    Location,
    create_on_server,
    create_roles_on_server,
    creation_sql,
    exists,
    locate,
    refuse_long_roles,
    roles_sql,
)
from projections.registry import first_schema

from ..ui import options
from ..ui.invocation import named_db
from ..ui.json_answers import Created
from ..ui.printer import Printer, note


@click.command(
    "init",
    epilog=options.examples(
        "queuectl init postgresql://db.example/jobs",
        "queuectl init 'postgresql://db.example/jobs?queue=encodes' --roles",
        "queuectl init encodes.db",
    ),
)
@click.argument("place", metavar="[DB]", required=False)
@click.option("--roles", is_flag=True, help="Also create roles for readers, clients and workers.")
@click.option("--owner", metavar="ROLE", help="The role that is to own the queue on a server.")
@click.option("--print", "prints", is_flag=True, help="Only print the SQL, to be run with psql.")
@options.printer
def init_command(
    out: Printer, place: str | None, roles: bool, owner: str | None, prints: bool
) -> None:
    """Create an empty queue; on a server, only this command does."""
    if place is not None and named_db() is not None:
        raise click.UsageError("name the queue by --db or as DB, not both")
    location = locate(place or named_db())
    if (roles or owner is not None or prints) and not location.on_server:
        raise click.UsageError("--roles, --owner and --print need a queue on a server")
    if prints:
        if out.form == "json":
            raise click.UsageError("--print prints SQL, so it cannot be combined with --json")
        click.echo(_sql(location, owner, roles), nl=False)
        return
    if roles:
        refuse_long_roles(location.place)
    created, position = _created(location, owner)
    existing = _Roles(*create_roles_on_server(location.place)) if roles else _Roles([], [])
    if out.form == "json":
        out.document(
            Created(position=position, place=location.name, created=created, roles=existing.names)
        )
        return
    note(f"created queue {location.name}" if created else f"{location.name} exists already")
    if roles:
        _describe(existing)


class _Roles(NamedTuple):
    """The roles of a queue."""

    names: list[str]
    new: list[str]
    """Those that did not exist."""


def _created(location: Location, owner: str | None) -> tuple[bool, int]:
    """Create the queue if it is missing. Return whether it was, and the position of its head.

    Raises the errors of opening it.
    """
    from ...api import Queue

    if location.on_server:
        created = create_on_server(location.place, first_schema, owner)
    else:
        created = not exists(location)
    with Queue(location.place) as queue:  # creates a file
        return created, queue.store.head().position


def _sql(location: Location, owner: str | None, roles: bool) -> str:
    creation = creation_sql(location.place, first_schema, owner)
    return creation + (roles_sql(location.place, owner) if roles else "")


def _describe(roles: _Roles) -> None:
    if not roles.new:
        note(f"roles {', '.join(roles.names)} exist already, and have their rights")
        return
    worker = roles.names[-1]
    name = worker if worker.replace("_", "a").isalnum() and worker.islower() else _quoted(worker)
    note(f"created roles {', '.join(roles.new)}")
    note(f"Add a user for workers, in psql: CREATE ROLE anna LOGIN PASSWORD '…' IN ROLE {name}")


def _quoted(name: str) -> str:
    """Return a name as psql reads it."""
    return '"' + name.replace('"', '""') + '"'
