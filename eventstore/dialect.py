"""The SQL of SQLite and of PostgreSQL: each difference between them is here, and only here.

All other SQL above the store is text that both databases understand. It binds values by name
(`:queue`), casts untyped null parameters and sums, and names each subquery.
See docs/decisions/0013.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from .tables import ColumnType, Statement, Table

_PARAMETER = re.compile(r"(?<!:):([a-z_]\w*)")


class Dialect(NamedTuple):
    """The SQL texts that differ between databases. `{column}`, `{key}` … are replaced."""

    name: Literal["sqlite", "postgres"]
    types: dict[ColumnType, str]
    table_end: str
    """The end of CREATE TABLE; `{clustered}` is filled if the key has several columns, or is text.
    """
    clustered: str
    """Stores the rows in the order of the key."""
    storage: str
    """The storage parameters `{parameters}` of a table."""
    computed: str
    """A column that the store computes from `{value}`."""
    json_text: str
    """The value of `{key}` in the JSON text of `{column}`, as text; null if it is missing."""
    json_pairs: str
    """The pairs (key, value) of the object `{key}` in the JSON text of `{column}`, as a table."""
    among: str
    """A subquery that returns the texts of a JSON array; the array is bound as `{parameter}`."""
    like: str
    """The operator LIKE that ignores the case of ASCII letters."""
    placeholder: str
    """The placeholder of value `{number}` in a statement that writes rows; the first is 1."""
    named: str
    """The placeholder of the value named `{name}` in a query."""

    def create(self, table: Table, name: str) -> str:
        """Return the statement that creates an empty table with this name."""
        parts = [f"{column} {self.types[type_]}" for column, type_ in table.columns.items()]
        for column, source in table.computed.items():
            value = self.json_text.format(column=source.column, key=source.key)
            parts.append(f"{column} {self.computed.format(value=value)}")
        if table.key:
            parts.append(f"PRIMARY KEY ({', '.join(table.key)})")
        parts += [f"UNIQUE ({', '.join(columns)})" for columns in table.unique]
        has_number_as_key = [table.columns[column] for column in table.key] == ["integer"]
        is_clustered = table.key and not has_number_as_key
        end = self.table_end.format(clustered=self.clustered if is_clustered else "")
        if table.on_server:
            parameters = ", ".join(f"{name} = {value}" for name, value in table.on_server.items())
            end += self.storage.format(parameters=parameters)
        return f"CREATE TABLE {name} (\n    " + ",\n    ".join(parts) + f"\n){end}"

    def insert(self, table: str, columns: Sequence[str], rows: int = 1) -> str:
        """Return the SQL that inserts `rows` rows at once; it takes the values row after row."""
        width = len(columns)
        values = ", ".join(self._row(width, first) for first in range(1, rows * width + 1, width))
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"

    def _row(self, width: int, first: int) -> str:
        """Return the placeholders of a row in parentheses. first: number of the first value."""
        numbers = range(first, first + width)
        return f"({', '.join(self.placeholder.format(number=number) for number in numbers)})"

    def query(self, sql: str) -> str:
        """Return the query with the placeholders of this database instead of `:name`."""
        return _with_parameters(sql, self.named)

    def write(self, statement: Statement, name: str) -> str:
        """Return the SQL of a statement on the table `name`. It is executed once per row."""
        placeholders = {
            column: self.placeholder.format(number=number)
            for number, column in enumerate(statement.columns, 1)
        }
        others = [column for column in placeholders if column not in statement.table.key]
        same_key = " AND ".join(
            f"{column} = {placeholders[column]}" for column in statement.table.key
        )
        if statement.how == "delete":
            return f"DELETE FROM {name} WHERE {same_key}"
        if statement.how == "update":
            changes = ", ".join(f"{column} = {placeholders[column]}" for column in others)
            return f"UPDATE {name} SET {changes} WHERE {same_key}"
        return self.insert(name, statement.columns) + self.on_conflict(statement, name)

    def on_conflict(self, statement: Statement, name: str) -> str:
        """Return the end of an INSERT into `name`: what happens with a key that exists."""
        if statement.how == "insert":
            return ""
        others = [column for column in statement.columns if column not in statement.table.key]
        change = _ON_CONFLICT[statement.how]
        changes = ", ".join(change.format(table=name, column=column) for column in others)
        key = ", ".join(statement.table.key)
        return f" ON CONFLICT ({key}) DO UPDATE SET {changes}"


_ON_CONFLICT = {
    "put": "{column} = excluded.{column}",
    "add": "{column} = {table}.{column} + excluded.{column}",
    "raise": "{column} = CASE WHEN excluded.{column} > {table}.{column}"
    " THEN excluded.{column} ELSE {table}.{column} END",
}


@lru_cache(maxsize=500)
def _with_parameters(sql: str, named: str) -> str:
    return _PARAMETER.sub(lambda match: named.format(name=match[1]), sql)


SQLITE = Dialect(
    name="sqlite",
    types={
        "integer": "INTEGER NOT NULL",
        "integer or null": "INTEGER",
        "text": "TEXT NOT NULL",
        "text or null": "TEXT",
    },
    table_end=" STRICT{clustered}",
    clustered=", WITHOUT ROWID",
    storage="",
    computed="TEXT GENERATED ALWAYS AS ({value}) VIRTUAL",
    json_text="json_extract({column}, '$.{key}')",
    json_pairs="json_each({column}, '$.{key}')",
    among="SELECT value FROM json_each(:{parameter})",
    like="LIKE",
    placeholder="?{number}",
    named=":{name}",
)

POSTGRES = Dialect(
    name="postgres",
    types={
        "integer": "BIGINT NOT NULL",
        "integer or null": "BIGINT",
        "text": 'TEXT COLLATE "C" NOT NULL',
        "text or null": 'TEXT COLLATE "C"',
    },
    table_end="{clustered}",
    clustered="",
    storage=" WITH ({parameters})",
    computed='TEXT COLLATE "C" GENERATED ALWAYS AS ({value}) STORED',
    json_text="(CAST({column} AS json) ->> '{key}')",
    json_pairs="json_each_text(CAST({column} AS json) -> '{key}')",
    among="SELECT json_array_elements_text(CAST(:{parameter} AS json))",
    like="ILIKE",
    placeholder="${number}",
    named="%({name})s",
)
