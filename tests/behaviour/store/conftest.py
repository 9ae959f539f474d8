"""The store that these tests check: by default a file, and a server where a test says so."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from eventstore.location import open_store
from eventstore.store import Log, Store
from tests.postgres import Server
from tests.stores import open_on_server

Opened = Callable[..., Store]

_numbers = itertools.count(1)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """`sqlite`, or the name of an installation of PostgreSQL; see `tests.stores.EVERY_STORE`."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def url(kind: str, server_of: Callable[[str], Server]) -> str:
    """Return the address of a queue on a server that does not exist yet."""
    if kind == "none":
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    return server_of(kind).url(f"queue-{next(_numbers)}")


@pytest.fixture
def opened(kind: str, path: str, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Return a function that opens the same queue again, with the options of `open_store`."""
    on_server = partial(open_on_server, folder=f"{path}.d")
    open_log: Callable[..., Log] = open_store if kind == "sqlite" else on_server
    place = path if kind == "sqlite" else request.getfixturevalue("url")
    logs: list[Log] = []

    def open_again(**options: object) -> Log:
        logs.append(open_log(place, **options))
        return logs[-1]

    yield open_again  # type: ignore[misc]
    for log in logs:
        log.close()


@pytest.fixture
def store(opened: Opened) -> Store:
    """A new, empty queue."""
    return opened(create=True)
