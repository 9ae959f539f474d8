"""Reading the kept output of an attempt, from the database or from files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.location import open_store
from eventstore.output_files import Piece
from eventstore.store import Store, StoredOutput
from queuectl.outputs.reader import kept_output
from queuectl.outputs.writer import OutputWriter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A queue with the long output of attempt 1 of job 42."""
    opened = open_store(str(tmp_path / "queue.db"), create=True)
    writer = OutputWriter(opened.output_files("42", 1, 1_000_000))
    writer.take(b"first\n")
    writer.spill()
    writer.take(b"second\n")
    writer.close()
    yield opened
    opened.close()


def test_output_is_read_from_the_database_if_it_is_stored_there(store: Store) -> None:
    output = StoredOutput(total_bytes=6, kept=b"stored")
    assert list(kept_output(output, store, "42", 1, from_byte=2)) == [Piece(2, b"ored", 0)]


def test_output_of_a_running_attempt_is_read_from_its_files(store: Store) -> None:
    pieces = list(kept_output(None, store, "42", 1))
    assert b"".join(piece.data for piece in pieces) == b"first\nsecond\n"
    assert list(kept_output(None, None, "42", 1)) == []


def test_bytes_beyond_the_recorded_length_are_left_out(store: Store) -> None:
    output = StoredOutput(total_bytes=8, kept=None)
    pieces = list(kept_output(output, store, "42", 1))
    assert b"".join(piece.data for piece in pieces) == b"first\nse"
