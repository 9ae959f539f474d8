"""The types that all stores have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .chain import Break, RawRecord
from .dialect import Dialect
from .events.recorded import Recorded
from .tables import Statement

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


class RecordedOutput(NamedTuple):
    """What the log recorded about the output of an attempt, and what is stored in the database."""

    position: int
    """Of the event that recorded it."""
    job: str
    attempt: int
    kept_bytes: int | None
    """None if nothing was kept."""
    sha256: str | None
    """Hex digest of the kept bytes."""
    total_bytes: int | None
    """As stored; None if nothing is stored."""
    kept: bytes | None
    """As stored; None if it is in files, or nothing is stored."""


class Reader(Protocol):
    """A snapshot of the database: all its queries see the same state."""

    @property
    def dialect(self) -> Dialect:
        """The SQL of this database, where it differs from that of others."""

    def tables(self) -> dict[str, list[str]]:
        """Return the names of the columns of each table, in order."""

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""

    def recorded_outputs(self) -> Iterator[RecordedOutput]:
        """Iterate over the outputs that the log recorded, in the order of the log."""

    def unrecorded_outputs(self) -> Iterator[tuple[str, int]]:
        """Iterate over the stored outputs (job and attempt) that no event recorded."""

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

    def write(self, statement: Statement, rows: Sequence[Row], table: str) -> None:
        """Carry out a statement once for each row. table: the name of the table to change."""
