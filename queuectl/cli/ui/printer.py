"""Where answers go: a picture for a terminal, plain lines for a pipe, JSON where asked for."""

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
        """One JSON document on a line: UTF-8, or ASCII if the locale or PYTHONIOENCODING is not."""
        data = _encode(shape)
        if codecs.lookup(sys.stdout.encoding).name == "utf-8":
            line(data.decode())
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(_ascii_json(data.decode()) + b"\n")

    def documents(self, shapes: Iterable[msgspec.Struct]) -> None:
        """A JSON text a line."""
        for shape in shapes:
            self.document(shape)

    def table(self, columns: tuple[Column[T], ...], rows: Iterable[T], none: str = "") -> None:
        """A list: fitted to a terminal, or tab-separated without a header.

        none: what a person reads where there is no row.
        """
        if not self.terminal:
            for row in rows:
                line("\t".join(visible(column.plain(row)) for column in columns))
        elif found := list(rows):
            from .rich_table import table

            table(columns, found, SystemClock().wall_us())
        else:
            line(with_named_db(none))

    def painted(self, text: str, state: str) -> str:
        """The text in the colour of a state, for a terminal that shows colours."""
        if not self.terminal or not colours_wanted():
            return text
        return click.style(text, fg=COLOURS.get(state))

    def hint(self, text: str) -> None:
        """What to do next, for a person; ` · ` between two of it, or a line each."""
        if self.terminal and text:
            words = visible(with_named_db(text))
            fits = len(words) <= shutil.get_terminal_size().columns
            line(words if fits else words.replace(" · ", "\n"))


def _ascii_json(text: str) -> bytes:
    """The same JSON with escapes: other characters than ASCII appear only within its strings."""

    def escaped(match: re.Match[str]) -> str:
        units = match[0].encode("utf-16-be").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return re.sub("[^\x00-\x7f]", escaped, text).encode("ascii")


def line(text: str = "") -> None:
    """One line on stdout."""
    sys.stdout.write(f"{text}\n")


def end_line() -> None:
    """A terminal has printed ^C: what comes next, such as a prompt, gets a line of its own."""
    if sys.stderr.isatty():
        sys.stdout.flush()
        click.echo(err=True)


def note(text: str) -> None:
    """One line of talk on stderr, below what has been answered so far."""
    sys.stdout.flush()
    say(text)
