"""`backup`: the queue as it is now, in a file of its own."""

import os

import click

from eventstore.errors import Missing

from ..reading import Reading
from ..wording import plural, size
from . import options
from .printer import Printer, line, note
from .progress import Progress


@click.command(
    "backup",
    epilog=options.examples(
        "queuectl backup monday.db", "queuectl backup --force nightly.db > nightly.head"
    ),
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--force", is_flag=True, help="Replace a backup of that name.")
@options.printer
@options.reading
def backup_command(reading: Reading, out: Printer, file: str, force: bool) -> None:
    """Copy the queue while workers go on; prints its head."""
    from ..backup import backup

    if reading.store is None:
        raise Missing(reading.location.path)
    target = os.path.abspath(file)
    with Progress("copying") as progress:
        done = backup(reading.store, target, "replace" if force else "refuse", progress.show)
    if out.form == "json":
        from .answers import BackedUp

        out.document(
            BackedUp(
                position=done.head.position,
                head_hash=done.head.hash,
                path=done.path,
                bytes=done.size_bytes,
                outputs=done.outputs,
            )
        )
        return
    beside = f", {plural(done.outputs, 'long output')} in {done.path}.d" if done.outputs else ""
    events = plural(done.head.position, "event")
    note(f"wrote {done.path}: {events}, {size(done.size_bytes)}{beside}; verified")
    line(f"{done.head.position}:{done.head.hash}")
