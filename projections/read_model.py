"""The shape that all read models have: a table, and what to write to it when a stream has moved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from eventstore.events.recorded import Recorded

StreamKind = Literal["job", "worker", "config", "context"]

S = TypeVar("S")

Values = tuple[Any, ...] | Mapping[str, Any]

Tables = Mapping[str, str]
"""What the templates' names stand for: `{jobs}` is `jobs` live, another name while rebuilding."""


class Change(NamedTuple, Generic[S]):
    """How a stream has moved: over one append when live, over a whole chunk in a rebuild."""

    before: S | None
    """Its state before; null for a new stream."""
    after: S
    recorded: Sequence[Recorded]
    """The events between, in order."""


class Write(NamedTuple):
    """One statement to run, a template, for each of these rows."""

    sql: str
    rows: Sequence[Values]


class ReadModel(msgspec.Struct, frozen=True, kw_only=True):
    """A question's table, or an index that answers it from another's table."""

    name: str
    version: int
    """Of its definition: raise it with any change of schema or derivation, and all is rebuilt."""
    kind: StreamKind
    """The streams it looks at."""
    schema: tuple[str, ...]
    """Templates; index names end in `_{generation}`, since old and new stand side by side."""
    derive: Callable[[Sequence[Change[Any]]], Iterator[Write]]
    """Pure: what to write for these changes, each of another stream."""
    table: str | None = None
    """Its own table; null for an index on another's."""
    key: str = "rowid"
    """The columns that tell its rows apart, for comparing in order."""
