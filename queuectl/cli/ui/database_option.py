"""The option `--db PATH`, which may be given before or after the subcommand.

PATH may also be the address of a queue on a server.
"""

import os

import click

from eventstore.location import is_address, label_of

from .options import completed_by

HELP = (
    "Queue file or postgresql:// URL [default: $QUEUECTL_DB, ./queue.db, or"
    " ~/.local/state/queuectl/queue.db]."
)


def _store_path(ctx: click.Context, option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Keep the path as the root context's object, where `named_db` reads it."""
    root = ctx.find_root()
    for path in paths:
        if root.obj is not None and _normal(root.obj) != _normal(path):
            raise click.UsageError(
                f"--db names two files, {label_of(root.obj)} and {label_of(path)}; give one", ctx
            )
        root.obj = path


def _normal(place: str) -> str:
    return place if is_address(place) else os.path.abspath(place)


db = click.option(
    "--db",
    metavar="PATH",
    multiple=True,
    expose_value=False,
    callback=_store_path,
    shell_complete=completed_by("files"),
    help=HELP,
)


def accept_db(command: click.Command) -> click.Command:
    """Add `--db` to a subcommand and to all subcommands below it."""
    if all(param.name != "db" for param in command.params):
        db(command)
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            accept_db(subcommand)
    return command
