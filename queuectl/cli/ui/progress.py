"""Show the progress of a long operation on stderr, if that is a terminal, after one second."""

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from .rich_table import ProgressBar

SHOW_AFTER_S = 1.0

Time = Literal["remaining", "elapsed"]


class ProgressDisplay:
    """Shows a progress bar after the first second; use it in a `with` block.

    what: the label of the bar. time: whether it shows the remaining or the elapsed time; while
    waiting for jobs, the remaining time is not known.
    """

    def __init__(self, what: str, time: Time = "remaining") -> None:
        self._what, self._time = what, time
        self._begun = monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._bar: ProgressBar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.close()

    def show(self, done: int, total: int | None = None) -> None:
        """Show that `done` of `total` is done. total: None if it is not known."""
        if not self._is_terminal or monotonic() - self._begun < SHOW_AFTER_S:
            return
        if self._bar is None:
            from .rich_table import ProgressBar

            self._bar = ProgressBar(self._what, self._time)
        self._bar.show(done, total)
