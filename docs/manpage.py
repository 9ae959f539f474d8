"""The manual page `queuectl(1)`, generated from the commands and options that `--help` shows."""

from collections.abc import Iterable, Iterator, Mapping

import click

from queuectl import __version__

ENVIRONMENT = {
    "QUEUECTL_DB": "Queue file, if --db does not name one.",
    "QUEUECTL_DB_DIRECT": "Address of its server without a pooler, for notifications.",
    "XDG_STATE_HOME": "Folder of queuectl/queue.db, the default [~/.local/state].",
    "QUEUECTL_TOKEN": "Access token of the dashboard.",
    "QUEUECTL_ALLOW_NETWORK": "1: accept a queue on a network file system, at your own risk.",
    "NO_COLOR": "If set, output has no colours.",
    "TZ": "Time zone of times that name none.",
}

FILES = {
    "queue.db": "The queue: event log and views, one SQLite file.",
    "queue.db.d/": "Long outputs, locks and doorbells.",
}


def manpage(
    commands: Iterable[tuple[str, click.Command]], exit_codes: Mapping[int, str]
) -> Iterator[str]:
    """Yield the lines of the page.

    commands: each with the words that call it, the root command first.
    """
    (path, root), *others = commands
    yield f'.TH QUEUECTL 1 "" "queuectl {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{path} \\- {_roff((root.help or '').rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield f".B {path}"
    yield "[OPTIONS] COMMAND [ARGS]..."
    yield ".SH OPTIONS"
    yield from _options(root, path)
    yield ".SH COMMANDS"
    for words, command in others:
        yield from _command(words, command)
    yield ".SH EXIT STATUS"
    yield from _terms({str(code): text for code, text in exit_codes.items()})
    yield ".SH ENVIRONMENT"
    yield from _terms(ENVIRONMENT)
    yield ".SH FILES"
    yield from _terms(FILES)


def _command(words: str, command: click.Command) -> Iterator[str]:
    with _context(command, words) as ctx:
        yield f".SS {_roff(' '.join((words, *command.collect_usage_pieces(ctx))))}"
    yield _roff(command.help or "")
    yield from _options(command, words)
    examples = [line.strip() for line in (command.epilog or "").splitlines() if words in line]
    if examples:
        yield ".PP"
        yield "Examples:"
        yield ".nf"
        yield from map(_roff, examples)
        yield ".fi"


def _options(command: click.Command, words: str) -> Iterator[str]:
    with _context(command, words) as ctx:
        options = [param for param in command.get_params(ctx) if isinstance(param, click.Option)]
        records = [option.get_help_record(ctx) for option in options]
    yield from _terms(dict(record for record in records if record is not None))


def _context(command: click.Command, words: str) -> click.Context:
    return click.Context(command, info_name=words, help_option_names=["-h", "--help"])


def _terms(terms: Mapping[str, str]) -> Iterator[str]:
    for term, text in terms.items():
        yield ".TP"
        yield f".B {_roff(term)}"
        yield _roff(text)


def _roff(text: str) -> str:
    """Escape text so that no line of it is a roff request and no character a roff escape."""
    plain = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
