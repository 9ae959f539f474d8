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
"""Characters of a wide column without which it tells nothing."""


def table(columns: tuple[Column[T], ...], rows: Sequence[T], now_us: int) -> None:
    """A list fitted to the width: what is too long is folded, or cut with `…`."""
    console = _console()
    shown = _fitting(columns, rows, now_us, console.width)
    picture = Table(box=None, pad_edge=False, header_style="dim")
    picture.expand = any(column.wide for column in shown)
    whole = _leaves_room(shown, rows, now_us, console.width)
    for column in shown:
        picture.add_column(
            column.title,
            no_wrap=not column.folds or (column is shown[0] and whole),
            overflow="fold" if column.folds else "ellipsis",
            max_width=column.folds or None,
            width=WIDE_AT_LEAST if column.wide else None,
            ratio=1 if column.wide else None,
        )
    for row in rows:
        picture.add_row(*(_cell(column, column.shown(row, now_us)) for column in shown))
    console.print(picture)


def _fitting(
    columns: tuple[Column[T], ...], rows: Sequence[T], now_us: int, width: int
) -> list[Column[T]]:
    """The columns without the spare ones that are empty, or for which there is no room."""
    longest = {column: _longest(column, rows, now_us) for column in columns}
    shown = [column for column in columns if longest[column] or not column.spare]
    for column in reversed(columns):
        needed = sum(_width(one, longest[one]) for one in shown)
        if column in shown and column.spare and needed - _GAP > width:
            shown.remove(column)
    return shown


def _leaves_room(columns: list[Column[T]], rows: Sequence[T], now_us: int, width: int) -> bool:
    """Whether the first column, the ids, can stay unfolded beside the least of the others."""
    ids, *others = columns
    longest = _longest(ids, rows, now_us)
    least = [0 if column.folds else _longest(column, rows, now_us) for column in others]
    needed = longest + _GAP + sum(map(_width, others, least)) - _GAP
    return longest <= (ids.folds or longest) and needed <= width


def _longest(column: Column[T], rows: Sequence[T], now_us: int) -> int:
    return max(cell_len(visible(column.shown(row, now_us))) for row in rows)


def _width(column: Column[T], longest: int) -> int:
    """With the gap to the next column. longest: of its texts."""
    most = WIDE_AT_LEAST if column.wide else column.folds or longest
    return max(min(longest, most), cell_len(column.title)) + _GAP


def _console(stderr: bool = False) -> Console:
    """Job text is text: no markup, no emoji, no guesses at what to colour."""
    return Console(
        stderr=stderr,
        # Of itself rich leaves out colours where NO_COLOR is set, but not bold and dim.
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
    """How many are done in a second."""

    def render(self, task: progress.Task) -> Text:
        """As of lately."""
        return Text(f"{task.speed or 0:,.0f}/s")


class _Count(progress.ProgressColumn):
    """How many are done, of how many."""

    def render(self, task: progress.Task) -> Text:
        """`1,200/5,000`; without the total while that is not known."""
        total = "" if task.total is None else f"/{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{total}")


class ProgressBar:
    """A progress bar on stderr; gone when it is closed."""

    def __init__(self, what: str, time: Time) -> None:
        """time: the one shown; with the remaining time comes the rate it is computed from."""
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
        """So much is done, of so much."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()
