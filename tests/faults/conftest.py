"""The shared fixtures of the fault tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_queue import LiveQueue
from tests.postgres import Server, installations, running


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveQueue]:
    """A queue whose workers a test may kill."""
    made = LiveQueue(tmp_path)
    yield made
    made.queue.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, the oldest that is installed. It syncs nothing to disk."""
    if not installations():
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    with running(next(iter(installations())), "fsync=off") as server:
        yield server
