"""`init`: create an empty queue, in a file or on a server."""

import click

from eventstore.location import Location, create_on_server, exists, locate
from projections.registry import first_schema

from ..ui import options
from ..ui.invocation import named_db
from ..ui.json_answers import Created
from ..ui.printer import Printer, note


@click.command(
    "init",
    epilog=options.examples(
        "queuectl init postgresql://db.example/jobs",
        "queuectl init 'postgresql://db.example/jobs?queue=encodes'",
        "queuectl init encodes.db",
    ),
)
@click.argument("place", metavar="[DB]", required=False)
@options.printer
def init_command(out: Printer, place: str | None) -> None:
    """Create an empty queue; on a server, only this command does."""
    if place is not None and named_db() is not None:
        raise click.UsageError("name the queue by --db or as DB, not both")
    location = locate(place or named_db())
    created, position = _created(location)
    if out.form == "json":
        out.document(Created(position=position, place=location.name, created=created))
    else:
        note(f"created queue {location.name}" if created else f"{location.name} exists already")


def _created(location: Location) -> tuple[bool, int]:
    """Create the queue if it is missing. Return whether it was, and the position of its head.

    Raises the errors of opening it.
    """
    from ...api import Queue

    if location.on_server:
        created = create_on_server(location.place, first_schema)
    else:
        created = not exists(location)
    with Queue(location.place) as queue:  # creates a file
        return created, queue.store.head().position
