"""The types that all stores have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .chain import Break, RawRecord
from .events.recorded import Recorded

Bindings = Mapping[str, Any] | tuple[Any, ...]
Row = tuple[Any, ...]

OnProgress = Callable[[int, int], None]
"""Called now and then during a long operation, with the amount done and the total."""


class Head(NamedTuple):
    """The last record of the log. Kept elsewhere, it can prove later that the log was changed."""

    position: int
    """0 means that the log is empty."""
    hash: str
    """In hexadecimal."""


class Reader(Protocol):
    """A snapshot of the database: all its queries see the same state."""

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Iterate over the events with `after` < position <= `upto`, in order of position.

        stream: the only stream to read; None for all.
        """

    def newest(self, stream: str, limit: int, before: int | None = None) -> list[Recorded]:
        """Return at most `limit` events of a stream, newest first, with position < `before`."""

    def raw(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[RawRecord]:
        """Return the same as `events`, but not decoded."""

    def records(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Row]:
        """Return the same as `raw` as plain tuples, which are faster to read."""

    def head(self) -> Head:
        """Return the position and hash of the last record."""

    def hash_at(self, position: int) -> str | None:
        """Return the hash of a record in hexadecimal; None if there is none at this position."""

    def records_until_damage(self) -> Iterator[Row]:
        """Iterate over all records. Raises ChainBroken at the first that cannot be read."""

    def unindexed(self) -> Break | None:
        """Return the first record that is missing from the index of streams; None if all are there.

        The hash chain does not detect that, and `history` reads through this index.
        """

    def missing_guards(self) -> tuple[str, ...]:
        """Return the names of the guards against changes of the log that are missing or changed."""

    def damage(self) -> str | None:
        """Return a description of the first damage to what is stored; None if there is none."""


class Writer(Reader, Protocol):
    """A transaction that may also change the tables next to the log."""

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""

    def execute_many(self, sql: str, bindings: Sequence[Bindings]) -> None:
        """Run one statement for each of `bindings`."""
