"""Tables next to the log, and changes of their rows, as data; `dialect.py` makes SQL of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

HOT = {"fillfactor": "20"}
"""`on_server` of a table of few rows that each transaction updates.

A new version of a row finds room in the page of the old one, so no index changes, and the next
update reuses the space.
"""

ColumnType = Literal["integer", "integer or null", "text", "text or null"]
"""Integers have 64 bits. Text is ordered by its bytes in UTF-8."""


class OfJson(NamedTuple):
    """A column that the store computes: the text of a key in a JSON column, or null."""

    column: str
    key: str


class Table:
    """A table: its name, its columns in order, and its keys.

    columns: type of each column; the columns of the key come first. key: names of the columns of
    the primary key; empty for a table of one row. unique: further unique keys. computed: columns
    that are read, and never written. on_server: storage parameters of PostgreSQL, by name; a file
    has none.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, ColumnType],
        *,
        key: tuple[str, ...],
        unique: tuple[tuple[str, ...], ...] = (),
        computed: Mapping[str, OfJson] = {},
        on_server: Mapping[str, str] = {},
    ) -> None:
        self.name, self.columns, self.key = name, columns, key
        self.unique, self.computed, self.on_server = unique, computed, on_server
        self.listed = ", ".join(columns)
        """The names of the columns as an SQL list, in order."""

    def insert(self, *columns: str) -> "Statement":
        """Return the statement that inserts rows.

        columns: the columns of the rows; by default all, in order.
        """
        return Statement("insert", self, columns or tuple(self.columns))

    def put(self) -> "Statement":
        """Return the statement that inserts whole rows, or replaces the rows with the same key."""
        return Statement("put", self, tuple(self.columns))

    def update(self, *columns: str) -> "Statement":
        """Return the statement that changes the rows with the keys that are passed.

        columns: the columns of the passed rows, in order; the columns of the key are among them.
        """
        return Statement("update", self, columns)

    def add(self) -> "Statement":
        """Return the statement that adds the passed numbers to the rows with the same keys.

        A row that does not exist is inserted. All columns except the key are numbers.
        """
        return Statement("add", self, tuple(self.columns))

    def raise_(self) -> "Statement":
        """Return the statement that replaces numbers by higher ones, never by lower ones."""
        return Statement("raise", self, tuple(self.columns))

    def delete(self) -> "Statement":
        """Return the statement that deletes the rows with the keys that are passed."""
        return Statement("delete", self, self.key)


How = Literal["insert", "put", "update", "add", "raise", "delete"]


class Statement:
    """A change of a table's rows. columns: the columns of the passed rows, in order."""

    def __init__(self, how: How, table: Table, columns: tuple[str, ...]) -> None:
        self.how, self.table, self.columns = how, table, columns


class Write(NamedTuple):
    """A statement and the rows to run it with, whose values are in the order of its columns."""

    statement: Statement
    rows: Sequence[tuple[Any, ...]]
