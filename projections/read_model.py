"""The type of all read models: a table, and a function from changes of streams to its writes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from eventstore.events.recorded import Recorded
from eventstore.tables import Table, Write

from .streams import StreamKind

S = TypeVar("S")

Tables = Mapping[str, str]
"""By table: its name to use in SQL templates. `{jobs}` is `jobs`, or `jobs_shadow` in a rebuild."""


class Change(NamedTuple, Generic[S]):
    """The change of a stream's state in a transaction, or in a slice of the log in a rebuild."""

    before: S | None
    """Its state before; None for a new stream."""
    after: S
    recorded: Sequence[Recorded]
    """The events that led from `before` to `after`, in order."""


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """A table for one kind of query, or an index on the table of another read model."""

    name: str
    version: int
    """Version of the table and of `derive`.

    Increase it with each change: then tables are rebuilt.
    """
    kind: StreamKind
    """The kind of streams from which it is derived."""
    derive: Callable[[Sequence[Change[Any]]], Iterator[Write]]
    """Pure: returns the writes for these changes, at most one change per stream."""
    table: Table | None = None
    """Its own table; None if it is an index on the table of another read model."""
    indexes: tuple[str, ...] = ()
    """SQL templates. Names end in `_{generation}`, since old and new indexes exist together."""
