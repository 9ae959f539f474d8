"""The store that these tests check; another kind of store will be a parameter here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventstore.location import open_store
from eventstore.store import Store


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "queue.db")


@pytest.fixture
def opened(path: str) -> Iterator[Callable[..., Store]]:
    """Return a function that opens the same queue again, with the options of `open_store`."""
    stores = []

    def open_again(**options: object) -> Store:
        stores.append(open_store(path, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield open_again
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    """A new, empty queue."""
    return opened(create=True)
