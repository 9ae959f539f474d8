"""The shared fixtures of the fault tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A queue whose workers a test may kill."""
    made = House(tmp_path)
    yield made
    made.queue.close()
