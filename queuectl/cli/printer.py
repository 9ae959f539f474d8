"""Where answers go: a picture for a terminal, plain lines for a pipe, JSON where asked for."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Generic, Literal, NamedTuple, TypeVar

import click
import msgspec

from ..clock import SystemClock
from ..visible import visible
from .asked import typed

Form = Literal["json", "jsonl"] | None
T = TypeVar("T")

COLOURS = {
    "pending": "cyan",
    "processing": "blue",
    "completed": "green",
    "failed": "yellow",
    "dead": "red",
    "scheduled": "cyan",
    "running": "green",
    "stopping": "yellow",
    "lost": "red",
}
"""Of the words for states, in the names that click and rich share."""

_encode = msgspec.json.Encoder().encode


class Column(NamedTuple, Generic[T]):
    """A column of a list. A pipe gets `plain`, whole; a person `shown`, which may be shortened."""

    title: str
    plain: Callable[[T], str]
    shown: Callable[[T, int], str]
    """Its second argument is the time now, UTC, microseconds since 1970."""
    wide: bool = False
    """Whether it takes the room that is left, and is cut where there is too little."""
    spare: bool = False
    """Whether it is left out where it is empty, or a terminal too narrow, from the right on."""
    folds: bool = False
    """Whether what is too long goes on below itself: nobody can type half an id."""


class Printer:
    """Prints one subcommand's answer on stdout."""

    def __init__(self, form: Form = None) -> None:
        self.form = form
        self.terminal = form is None and sys.stdout.isatty()

    def document(self, shape: msgspec.Struct) -> None:
        """One JSON document."""
        line(_encode(shape).decode())

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
            from .picture import table

            table(columns, found, SystemClock().wall_us())
        else:
            line(typed(none))

    def painted(self, text: str, state: str) -> str:
        """The text in the colour of a state, for a terminal that shows colours."""
        if not self.terminal or not colours_wanted():
            return text
        return click.style(text, fg=COLOURS.get(state))

    def hint(self, text: str) -> None:
        """What to do next, for a person; ` · ` between two of it, or a line each."""
        if self.terminal and text:
            words = visible(typed(text))
            fits = len(words) <= shutil.get_terminal_size().columns
            line(words if fits else words.replace(" · ", "\n"))


def colours_wanted() -> bool:
    """Source: no-color.org."""
    return not os.environ.get("NO_COLOR")


def line(text: str = "") -> None:
    """One line on stdout."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """One line of talk on stderr, below what has been answered so far."""
    sys.stdout.flush()
    click.echo(visible(text), err=True)
