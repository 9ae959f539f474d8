"""The option `--db PATH`, which may be given before or after the subcommand."""

import os

import click

from .options import completed_by

HELP = "Queue file [default: $QUEUECTL_DB, ./queue.db, or ~/.local/state/queuectl/queue.db]."


def _store_path(ctx: click.Context, option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Keep the path as the root context's object, where `named_db` reads it."""
    root = ctx.find_root()
    for path in paths:
        if root.obj is not None and os.path.abspath(root.obj) != os.path.abspath(path):
            raise click.UsageError(f"--db names two files, {root.obj} and {path}; give one", ctx)
        root.obj = path


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
