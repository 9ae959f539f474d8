"""Each SQL text above the store is understood by SQLite and by PostgreSQL."""

import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import projections
import queuectl
from eventstore.dialect import POSTGRES, SQLITE, Dialect
from eventstore.store import Query
from eventstore.tables import Statement
from projections.read_models import jobs
from projections.read_models.jobs import Filter
from projections.registry import LIVE, TABLES, first_schema, schema
from queuectl.api import Queue
from tests.postgres import Server, installations
from tests.sampling import first_of

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

_BEGINS_LIKE_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH)\s+\S")

PARTS = {"NEWEST", "RANGE", "TAGGED", "READ_HEAD"}
"""Templates of `jobs.page_sql`, which `PAGES` covers with all that can be put in; and a query of
the log, which has its own tests."""


def _modules() -> Iterator[ModuleType]:
    for package in (projections, queuectl):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield import_module(module.name)


def _texts() -> dict[str, str]:
    """Return all SQL texts in capitals of the upper floors, by module and name."""
    return {
        f"{module.__name__}.{name}": text
        for module in _modules()
        for name, value in vars(module).items()
        for text in [value.sql if isinstance(value, Query) else value]
        if name.isupper() and isinstance(text, str) and _BEGINS_LIKE_SQL.match(text)
        if name not in PARTS
    }


def _filters() -> Iterator[Filter]:
    """Return filters with each combination of conditions."""
    for states, queue, tag, search, cause, times in product(
        [(), ("dead",), ("dead", "failed")],
        [None, "encodes"],
        [None, ("project", "x")],
        [None, "x=1"],
        [None, "exit 1"],
        [None, 1],
    ):
        yield Filter(
            states=states,  # type: ignore[arg-type]
            queue=queue,
            tag=tag,
            search=search,
            cause=cause,
            since_us=times,
            until_us=times,
        )


def _queries(dialect: Dialect) -> Iterator[tuple[str, str]]:
    among = dialect.among.format(parameter="ids")
    for name, text in _texts().items():
        yield name, text.replace("{among}", among).format_map(LIVE)
    for build in (jobs.page_sql, jobs.oldest_sql):
        for which in _filters():
            yield f"{build.__name__}({which})", build(dialect, which, {})


STATEMENTS: dict[str, Statement] = {
    f"{module.__name__}.{name}": statement
    for module in _modules()
    for name, statement in vars(module).items()
    if isinstance(statement, Statement)
}


def test_all_texts_of_read_models_are_found() -> None:
    """So that the tests below do not pass because they try nothing."""
    names = set(_texts())
    assert {f"projections.read_models.{name}" for name in ("ready.NEXT_READY", "jobs.LOAD")} < names
    assert len(names) > 30
    assert {statement.how for statement in STATEMENTS.values()} == {
        "insert",
        "put",
        "update",
        "add",
        "raise",
        "delete",
    }


def test_sqlite_prepares_every_statement(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.db")
    with queue.store.read() as tx:
        for name, sql in _queries(tx.dialect):
            parameters = dict.fromkeys(re.findall(r":(\w+)", sql))
            assert tx.query(f"EXPLAIN {sql}", parameters), name
        for name, statement in STATEMENTS.items():
            sql = SQLITE.write(statement, statement.table.name)
            assert tx.query(f"EXPLAIN {sql}", (None,) * len(statement.columns)), name
    queue.close()


@pytest.fixture(scope="module", params=first_of(installations() or ["none"]))
def postgres(request: pytest.FixtureRequest, server_of: Callable[[str], Server]) -> Iterator[Any]:
    """A connection to a server with the tables of all read models."""
    if request.param == "none":
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    address = server_of(request.param).database("postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA portable")
        connection.execute("SET search_path = portable")
        for statement in first_schema(POSTGRES):
            connection.execute(statement)
        yield connection


def prepare(connection: Any, sql: str) -> None:
    """Let the server parse and analyse a statement whose parameters are `%(name)s` or `$1`."""
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${numbers.setdefault(match[1], len(numbers) + 1)}"

    result = connection.pgconn.prepare(b"", re.sub(r"%\((\w+)\)s", number, sql).encode())
    assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message.decode()


def test_postgres_prepares_every_query(postgres: Any) -> None:
    for name, sql in _queries(POSTGRES):
        try:
            prepare(postgres, POSTGRES.query(sql))
        except AssertionError as error:
            pytest.fail(f"{name}: {error}\n{sql}")


@pytest.mark.parametrize("name", STATEMENTS)
def test_postgres_prepares_every_write(postgres: Any, name: str) -> None:
    statement = STATEMENTS[name]
    prepare(postgres, POSTGRES.write(statement, statement.table.name))


def test_postgres_renames_rebuilt_tables(postgres: Any) -> None:
    with postgres.transaction(force_rollback=True):
        shadow = {name: f"{name}_shadow" for name in LIVE}
        for statement in schema(POSTGRES, shadow, generation=2):
            postgres.execute(statement)
        for table in LIVE:
            postgres.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
            postgres.execute(f"ALTER TABLE {shadow[table]} RENAME TO {table}")
            key = ", ".join(_key(table))
            postgres.execute(
                f"DELETE FROM {table}_old WHERE ({key}) IN (SELECT {key} FROM {table}_old LIMIT 9)"
            )
            postgres.execute(f"DROP TABLE {table}_old")


def _key(name: str) -> tuple[str, ...]:
    return next(table.key for table in TABLES if table.name == name)


def test_postgres_refuses_the_sql_of_sqlite(postgres: Any) -> None:
    """The control: a text that only SQLite understands is found."""
    with pytest.raises(AssertionError, match="sqlite_schema"):
        prepare(postgres, "SELECT name FROM sqlite_schema")
