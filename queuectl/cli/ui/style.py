"""How answers look: the columns of a list, the colours of states."""

import os
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

ID_WIDTH = 36
"""Of a column of ids: a UUID stays on one line, and no longer id takes the whole list."""
TEXT_WIDTH = 32
"""Of a column of other text that continues on the next line."""

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
    folds: int = 0
    """Characters of a line if longer text continues on the next line; 0 if it does not."""


def colours_wanted() -> bool:
    """Source: no-color.org."""
    return not os.environ.get("NO_COLOR")
