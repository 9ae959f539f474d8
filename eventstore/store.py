"""The value types that every store speaks in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .events.recorded import Recorded

Bindings = Mapping[str, Any] | tuple[Any, ...]
Row = tuple[Any, ...]


class Head(NamedTuple):
    """The last record of the log: what to keep elsewhere and hold it against later."""

    position: int
    """0 is an empty log."""
    hash: str
    """Hex."""


class Reader(Protocol):
    """What a query sees: one state of the database, however long it looks."""

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """All rows of a statement."""

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """The rows one by one, in flat memory."""

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Events with `after` < position <= `upto`, in order, of one stream or of all."""

    def head(self) -> Head:
        """The last record."""


class Writer(Reader, Protocol):
    """A transaction that may also change tables beside the log."""

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""

    def execute_many(self, sql: str, bindings: Sequence[Bindings]) -> None:
        """Run one statement for each of `bindings`."""
