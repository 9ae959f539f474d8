"""A queue in an SQLite file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.location import open_store
from eventstore.store import Store


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    opened = open_store(path, create=True)
    yield opened
    opened.close()
