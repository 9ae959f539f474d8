"""Tables and progress for a terminal: the only file that loads rich."""

from collections.abc import Sequence
from typing import TypeVar

from rich import progress
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...escape import visible
from .progress import Time
from .style import COLOURS, Column, colours_wanted

T = TypeVar("T")

_GAP = 2
WIDE_AT_LEAST = 16
"""The minimum width of a wide column, in characters."""


def table(columns: tuple[Column[T], ...], rows: Sequence[T], now_us: int) -> None:
    """Print a list fitted to the width of the terminal: long text is folded, or cut with `…`."""
    console = _console()
    shown = _fitting(columns, rows, now_us, console.width)
    layout = Table(box=None, pad_edge=False, header_style="dim")
    layout.expand = any(column.wide for column in shown)
    whole = _leaves_room(shown, rows, now_us, console.width)
    for column in shown:
        layout.add_column(
            column.title,
            no_wrap=not column.fold_width or (column is shown[0] and whole),
            overflow="fold" if column.fold_width else "ellipsis",
            max_width=column.fold_width or None,
            width=WIDE_AT_LEAST if column.wide else None,
            ratio=1 if column.wide else None,
        )
    for row in rows:
        layout.add_row(*(_cell(column, column.shown(row, now_us)) for column in shown))
    console.print(layout)


def _fitting(
    columns: tuple[Column[T], ...], rows: Sequence[T], now_us: int, width: int
) -> list[Column[T]]:
    """Return the columns, without the droppable columns that are empty or do not fit."""
    longest = {column: _longest(column, rows, now_us) for column in columns}
    shown = [column for column in columns if longest[column] or not column.droppable]
    for column in reversed(columns):
        needed = sum(_width(kept, longest[kept]) for kept in shown)
        if column in shown and column.droppable and needed - _GAP > width:
            shown.remove(column)
    return shown


def _leaves_room(columns: list[Column[T]], rows: Sequence[T], now_us: int, width: int) -> bool:
    """Return whether the ids, in the first column, fit unfolded.

    The other columns are counted with their least width.
    """
    ids, *others = columns
    longest = _longest(ids, rows, now_us)
    least = [0 if column.fold_width else _longest(column, rows, now_us) for column in others]
    needed = longest + _GAP + sum(map(_width, others, least)) - _GAP
    return longest <= (ids.fold_width or longest) and needed <= width


def _longest(column: Column[T], rows: Sequence[T], now_us: int) -> int:
    return max(cell_len(visible(column.shown(row, now_us))) for row in rows)


def _width(column: Column[T], longest: int) -> int:
    """Return the width of a column with the gap to the next. longest: width of its longest text."""
    most = WIDE_AT_LEAST if column.wide else column.fold_width or longest
    return max(min(longest, most), cell_len(column.title)) + _GAP


def _console(stderr: bool = False) -> Console:
    """Return a console that prints text as it is: no markup, no emoji, no automatic colours."""
    return Console(
        stderr=stderr,
        # With NO_COLOR alone, rich leaves out colours, but not bold and dim.
        color_system="auto" if colours_wanted() else None,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _cell(column: Column[T], text: str) -> Text:
    word = text.partition(",")[0].split()[-1:]
    style = COLOURS.get(word[0], "") if word and column.title == "state" else ""
    return Text(visible(text), style=style)


class _Rate(progress.ProgressColumn):
    """The rate: items per second."""

    def render(self, task: progress.Task) -> Text:
        """Return the recent rate: `1,200/s`."""
        return Text(f"{task.speed or 0:,.0f}/s")


class _Count(progress.ProgressColumn):
    """The number of items done, and the total."""

    def render(self, task: progress.Task) -> Text:
        """Return `1,200/5,000`, or without the total while that is not known."""
        total = "" if task.total is None else f"/{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{total}")


class ProgressBar:
    """A progress bar on stderr, which is erased when it is closed."""

    def __init__(self, what: str, time: Time) -> None:
        """time: the time shown; with the remaining time, the bar also shows the rate."""
        remaining = (_Rate(), progress.TimeRemainingColumn())
        elapsed = (progress.TimeElapsedColumn(),)
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            _Count(),
            *(remaining if time == "remaining" else elapsed),
            console=_console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(what, total=None)
        self._progress.start()

    def show(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` is done. total: None if it is not known."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Erase the bar."""
        self._progress.stop()
