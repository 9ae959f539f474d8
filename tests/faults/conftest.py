"""The shared fixtures of the fault tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_queue import LiveQueue


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveQueue]:
    """A queue whose workers a test may kill."""
    made = LiveQueue(tmp_path)
    yield made
    made.queue.close()
