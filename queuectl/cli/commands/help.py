"""`help`: the help of a subcommand, as `--help` prints it."""

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
        name, found, _ = command.resolve_command(below, [word])
        assert found is not None
        below = click.Context(found, info_name=name, parent=below)
    line(below.get_help())
