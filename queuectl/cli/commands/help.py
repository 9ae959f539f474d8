"""`help`: print the help of a subcommand, like `--help`."""

import click

from ..ui.options import completed_by, examples
from ..ui.printer import line


@click.command("help", epilog=examples("queuectl help enqueue", "queuectl help worker start"))
@click.argument(
    "words", metavar="[COMMAND...]", nargs=-1, shell_complete=completed_by("subcommands")
)
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command."""
    below = ctx.find_root()
    for word in words:
        command = below.command
        if not isinstance(command, click.Group):
            raise click.UsageError(f"{below.command_path} has no subcommands", below)
        name, subcommand, _ = command.resolve_command(below, [word])
        assert subcommand is not None
        below = click.Context(subcommand, info_name=name, parent=below)
    line(below.get_help())
