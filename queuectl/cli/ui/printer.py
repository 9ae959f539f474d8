"""Print answers: tables on a terminal, plain lines in a pipe, JSON with --json."""

import codecs
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Literal, TypeVar

import click
import msgspec

from ...core.clock import SystemClock
from ...escape import visible
from .invocation import with_named_db
from .recorded import say
from .style import COLOURS, Column, colours_wanted

Form = Literal["json", "jsonl"] | None
T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Printer:
    """Prints one subcommand's answer on stdout."""

    def __init__(self, form: Form = None) -> None:
        self.form = form
        self.terminal = form is None and sys.stdout.isatty()

    def document(self, shape: msgspec.Struct) -> None:
        """Print a JSON document on one line, in UTF-8, or in ASCII if stdout is not UTF-8.

        The encoding of stdout depends on the locale and on PYTHONIOENCODING.
        """
        data = _encode(shape)
        if codecs.lookup(sys.stdout.encoding).name == "utf-8":
            line(data.decode())
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(_ascii_json(data.decode()) + b"\n")

    def documents(self, shapes: Iterable[msgspec.Struct]) -> None:
        """Print JSON documents, one per line."""
        for shape in shapes:
            self.document(shape)

    def table(self, columns: tuple[Column[T], ...], rows: Iterable[T], none: str = "") -> None:
        """Print a list: fitted to a terminal, or tab-separated without a header.

        none: the line that a terminal gets if there are no rows.
        """
        if not self.terminal:
            for row in rows:
                line("\t".join(visible(column.plain(row)) for column in columns))
        elif listed := list(rows):
            from .rich_table import table

            table(columns, listed, SystemClock().wall_us())
        else:
            line(with_named_db(none))

    def painted(self, text: str, state: str) -> str:
        """Return the text in the colour of a state, if stdout is a terminal with colours."""
        if not self.terminal or not colours_wanted():
            return text
        return click.style(text, fg=COLOURS.get(state))

    def hint(self, text: str) -> None:
        """Print what to do next, on a terminal only.

        Several hints are separated by ` · `; if they do not fit, each gets a line of its own.
        """
        if self.terminal and text:
            words = visible(with_named_db(text))
            fits = len(words) <= shutil.get_terminal_size().columns
            line(words if fits else words.replace(" · ", "\n"))


def _ascii_json(text: str) -> bytes:
    """Return the JSON in ASCII. Other characters appear only in its strings, and are escaped."""

    def escaped(match: re.Match[str]) -> str:
        units = match[0].encode("utf-16-be").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return re.sub("[^\x00-\x7f]", escaped, text).encode("ascii")


def line(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(f"{text}\n")


def end_line() -> None:
    """End the line on which a terminal has printed ^C, so that the prompt begins a new line."""
    if sys.stderr.isatty():
        sys.stdout.flush()
        click.echo(err=True)


def note(text: str) -> None:
    """Write one line to stderr, after all text that was written to stdout before."""
    sys.stdout.flush()
    say(text)
