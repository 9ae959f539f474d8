"""The columns of lists and the colours of states."""

import os
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

ID_WIDTH = 36
"""The width of a column of ids: a UUID fits on one line, and longer ids are folded."""
TEXT_WIDTH = 32
"""The width of other columns whose long text is folded."""

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
"""The colour of each state, by names that click and rich share."""


class Column(NamedTuple, Generic[T]):
    """A column of a list. A pipe gets `plain`, a terminal `shown`, which may be shortened."""

    title: str
    plain: Callable[[T], str]
    shown: Callable[[T, int], str]
    """Its second argument is the current time, UTC, microseconds since 1970."""
    wide: bool = False
    """Whether the column takes the remaining width, and is cut if that is too small."""
    droppable: bool = False
    """Whether to leave out the column if it is empty, or if the terminal is too narrow.

    The rightmost droppable column is left out first.
    """
    fold_width: int = 0
    """The width at which longer text is folded; 0 if it is never folded."""


def colours_wanted() -> bool:
    """Return False if NO_COLOR is set (see no-color.org), else True."""
    return not os.environ.get("NO_COLOR")
