"""The store that these tests check; another kind of store will be a parameter here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.location import open_store
from eventstore.sqlite.log import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    opened = open_store(path, create=True)
    yield opened
    opened.close()
