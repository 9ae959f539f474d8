"""The common form of all read models: a table, and a function from changes to its writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from eventstore.events.recorded import Recorded
from eventstore.tables import Table, Write

from .streams import StreamKind

S = TypeVar("S")

Tables = Mapping[str, str]
"""Names of the tables in SQL templates: `{jobs}` is `jobs`, or `jobs_shadow` in a rebuild."""


class Change(NamedTuple, Generic[S]):
    """A change of a stream's state: by one transaction, or by a slice of the log in a rebuild."""

    before: S | None
    """Its state before; None for a new stream."""
    after: S
    recorded: Sequence[Recorded]
    """The events between, in order."""


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """A table that answers one kind of question, or an index on the table of another read model."""

    name: str
    version: int
    """Version of schema and `derive`; increase it with each change, so that all is rebuilt."""
    kind: StreamKind
    """The kind of streams from which it is derived."""
    derive: Callable[[Sequence[Change[Any]]], Iterator[Write]]
    """Pure: returns the writes for these changes, at most one change per stream."""
    table: Table | None = None
    """Its own table; None for an index on another one's table."""
    indexes: tuple[str, ...] = ()
    """SQL templates. Index names end in `_{generation}`, as old and new ones exist together."""
