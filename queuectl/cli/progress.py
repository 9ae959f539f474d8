"""How far something long has come: on stderr, on a terminal, once it takes over a second."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from .picture import Bar

PATIENCE_S = 1.0


class Progress:
    """Shows a bar from the first second on; use it in a `with` block."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._bar: Bar | None = None

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
        """So much is done; of so much, where that is known."""
        if not self._wanted or time.monotonic() - self._begun < PATIENCE_S:
            return
        if self._bar is None:
            from .picture import Bar

            self._bar = Bar(self._what)
        self._bar.show(done, total)
