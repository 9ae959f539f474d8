"""The root command: it loads each subcommand from its file, and turns errors into exit codes."""

import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from eventstore.errors import StoreError

from .. import __version__, exit_codes
from ..errors import QueueError
from .error_codes import code_of
from .ui.database_option import accept_db, db
from .ui.foreign_words import extra_meant, option_meant, subcommand_meant
from .ui.invocation import TYPED, with_named_db
from .ui.options import examples
from .ui.printer import end_line
from .ui.recorded import AnswerLost, discard_standard_output, report_lost_answer, say
from .ui.style import colours_wanted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SUBCOMMANDS = {
    "enqueue": "enqueue",
    "list": "jobs",
    "show": "show",
    "logs": "logs",
    "wait": "wait",
    "cancel": "jobs",
    "retry": "jobs",
    "history": "events",
    "status": "status",
    "worker": "worker",
    "service": "service",
    "dlq": "dlq",
    "config": "config",
    "dashboard": "dashboard",
    "events": "events",
    "replay": "integrity",
    "verify": "integrity",
    "init": "init",
    "doctor": "doctor",
    "backup": "backup",
    "restore": "restore",
    "migrate": "migrate",
    "help": "help",
}
"""The module of each subcommand, in the order in which they are listed."""


SECTIONS = {
    "Jobs": ("enqueue", "list", "show", "logs", "wait", "cancel", "retry", "history"),
    "Workers and settings": ("worker", "service", "status", "dlq", "config", "dashboard"),
    "Event log": ("events", "verify", "replay"),
    "Maintenance": ("init", "doctor", "backup", "restore", "migrate"),
}
"""The groups of subcommands in the help; subcommands in no group are listed last."""


COMPLETE = "_QUEUECTL_COMPLETE"
"""The environment variable with which click's shell scripts ask for completions."""


class LazyGroup(click.Group):
    """Imports the module of a subcommand when it is used: importing all of them takes longer."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all subcommands, in order."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand of this name; None if there is none."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module = import_module(f".commands.{SUBCOMMANDS[cmd_name]}", __package__)
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return accept_db(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands, in groups."""
        helps = {name: self._short_help(ctx, name) for name in self.list_commands(ctx)}
        grouped = {name for names in SECTIONS.values() for name in names}
        others = tuple(name for name in helps if name not in grouped)
        for title, names in {**SECTIONS, "Other commands": others}.items():
            if rows := [(name, helps[name]) for name in names if name in helps]:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=max(map(len, helps)))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete a subcommand. bash shows no descriptions, so no module is imported for them."""
        if incomplete.startswith("-") or not os.environ.get(COMPLETE, "").startswith("bash"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in SUBCOMMANDS if name.startswith(incomplete)]

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        assert command is not None
        return command.get_short_help_str(limit=80)


@click.group(
    "queuectl",
    cls=LazyGroup,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    epilog=examples(
        "queuectl enqueue -- 'make all'", "queuectl worker start --count 2", "queuectl status"
    ),
)
@db
@click.version_option(__version__, prog_name="queuectl", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Run shell commands in the background; an event log records every change."""
    ctx.color = None if colours_wanted() else False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    _fill_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except AnswerLost as error:
        return report_lost_answer(error)
    except OSError as error:
        return system_failed(error)
    return code


def _fill_standard_streams() -> None:
    """Open /dev/null on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the queue file could get such a number, and messages would be written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        from .ui.completion import install_bash

        install_bash()
        return shell_complete(root, {}, "queuectl", COMPLETE, instruction)
    try:
        with root.make_context("queuectl", list(arguments)) as ctx:
            ctx.meta[TYPED] = arguments
            try:
                return root.invoke(ctx) or exit_codes.DONE
            except (QueueError, StoreError) as error:
                return _fail(with_named_db(str(error)), code_of(error))
    except click.exceptions.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, click.Abort):
        end_line()
        return exit_codes.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        no_arguments = not arguments
        click.echo(error.format_message(), err=not no_arguments)
        return exit_codes.DONE if no_arguments else exit_codes.USAGE
    except click.UsageError as error:
        return _fail(_usage(error, arguments), exit_codes.USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), exit_codes.USAGE)


def _usage(error: click.UsageError, arguments: Sequence[str]) -> str:
    """Return the error message for a wrong command line, with a correction or a hint to --help."""
    ctx = error.ctx
    path = ctx.command_path if ctx else _typed_path(arguments)
    meant = None
    if ctx and isinstance(error, click.exceptions.NoSuchCommand):
        words = f"{path} has no subcommand {error.command_name!r:.100}"
        assert isinstance(ctx.command, click.Group)
        meant = subcommand_meant(path, error.command_name, ctx.command.list_commands(ctx))
    elif ctx and isinstance(error, click.NoSuchOption):
        words = f"{path} has no option {error.option_name!r:.100}"
        meant = option_meant(path, error.option_name, ctx.command, ctx)
    else:
        words = " ".join(error.format_message().split()).rstrip(".")
        words = f"{words[:1].lower()}{words[1:]}"
        if ctx and (extra := re.search(r"unexpected extra arguments? \((.*)\)$", words)):
            meant = extra_meant(path, extra[1], ctx.params)
    return f"{words}; did you mean {meant}?" if meant else f"{words}; see {path} --help"


def _typed_path(arguments: Sequence[str]) -> str:
    """Return the subcommand that was typed: `queuectl worker start`.

    Some of click's errors have no context to take it from.
    """
    command: click.Command = root
    path = "queuectl"
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        if (subcommand := command.get_command(click.Context(command), word)) is not None:
            command, path = subcommand, f"{path} {word}"
    return path


def _fail(words: str, code: int) -> int:
    sys.stdout.flush()
    say(f"error: {words}")
    return code


def _refused(error: OSError) -> str:
    """Return the message for an error of the operating system, with what to do."""
    if error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if error.errno == errno.ENOSPC:
        return f"{error.strerror}: standard output"
    if error.errno == errno.ENOENT:  # without a file name: the working directory
        return "the working directory no longer exists; change to another one"
    return f"{error.strerror}; a limit of this shell (ulimit -a) or of the machine is too low"


def system_failed(error: OSError) -> int:
    """Report an error of the operating system and return the exit code.

    It is not reported if the reader of standard output has closed it.
    Nothing was recorded: a command that has recorded something raises AnswerLost.
    """
    discard_standard_output()
    if error.errno == errno.EPIPE:
        return exit_codes.PIPE_CLOSED
    say(f"error: {_refused(error)}")
    return exit_codes.DATABASE
