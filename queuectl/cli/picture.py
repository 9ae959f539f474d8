"""Tables and progress for a terminal: the only file that loads rich."""

import os
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..visible import visible
from .printer import Column

T = TypeVar("T")

_STYLES = {
    "pending": "cyan",
    "processing": "bold blue",
    "completed": "green",
    "failed": "yellow",
    "dead": "bold red",
    "scheduled": "cyan",
    "cancelled": "dim",
    "running": "green",
    "stopping": "yellow",
    "lost": "bold red",
}


def table(columns: tuple[Column[T], ...], rows: Iterable[T], now_us: int) -> None:
    """A list fitted to the width: one line a row, what is too long cut with `…`."""
    picture = Table(box=None, pad_edge=False, header_style="dim")
    picture.expand = any(column.wide for column in columns)
    for column in columns:
        picture.add_column(
            column.title,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column.wide else None,
        )
    for row in rows:
        picture.add_row(*(_cell(column, column.shown(row, now_us)) for column in columns))
    _console().print(picture)


def _console(stderr: bool = False) -> Console:
    """Job text is text: no markup, no emoji, no guesses at what to colour."""
    plain = bool(os.environ.get("NO_COLOR"))  # rich would leave out colours, but not bold and dim
    return Console(
        stderr=stderr,
        color_system=None if plain else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


def _cell(column: Column[T], text: str) -> Text:
    word = text.partition(",")[0].split()[-1:]
    style = _STYLES.get(word[0], "") if word and column.title == "state" else ""
    return Text(visible(text), style=style)


class Bar:
    """A progress bar on stderr, with rate and remaining time; gone when it is closed."""

    def __init__(self, what: str) -> None:
        from rich import progress

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f}", markup=False),
            progress.TaskProgressColumn(show_speed=True),
            progress.TimeRemainingColumn(),
            console=_console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(what, total=None)
        self._progress.start()

    def show(self, done: int, total: int | None) -> None:
        """So much is done, of so much."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()
