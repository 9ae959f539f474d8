"""Flipped bits in the log: `verify` reports them, and no reader guesses the original."""

from pathlib import Path
from unittest.mock import patch

import apsw
import pytest

from eventstore.codec import decode
from eventstore.errors import ChainBroken, StoreError
from eventstore.location import open_store
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.reader import SqliteReader
from eventstore.verify import Verdict, verify
from queuectl.api import Queue
from tests.torture.flips import FLIPS, Log, flipped, written
from tests.torture.proof import assert_holds


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return written(str(tmp_path / "queue.db"))


@pytest.mark.sampled
def test_flipped_bit_is_harmless_or_reported() -> None:
    assert_holds(FLIPS)


def _believing(tx: SqliteReader) -> Verdict:
    """Return the verdict of `verify` without the broken record."""
    return verify(tx)._replace(broken=None)


@pytest.mark.proof
def test_unreported_flip_is_found() -> None:
    """The control: most flips do harm if the records are not checked against the chain."""
    with patch("tests.torture.flips.verify", _believing):
        tally = FLIPS.run(200, 0)
    assert sum("and another" in line or "a traceback" in line for line in tally.findings) > 50


@pytest.mark.proof
def test_any_flipped_bit_in_the_last_records_header_is_reported(log: Log) -> None:
    """The type of its hash changes to text or NULL; a reader of the head gets an error."""
    at = Path(log.path).read_bytes().rindex(log.events[-1].data.encode())
    tally = flipped(log, ((offset, bit) for offset in range(at - 60, at) for bit in range(8)))
    assert tally.findings == []


def test_record_of_impossible_size_is_reported(log: Log) -> None:
    """A flipped length exceeds SQLite's limit; this test lowers the limit instead."""
    with Queue(log.path) as queue:
        queue.enqueue("true " + "x" * 5_000, cwd="/")
        longest = queue.store.head()
    store = SqliteStore(log.path, readonly=True)
    store._connection.limit(apsw.SQLITE_LIMIT_LENGTH, 5_000)
    with store.read() as tx:
        broken = verify(tx).broken
    with pytest.raises(StoreError, match="damaged"), store.read() as tx:
        list(tx.events())
    store.close()
    assert broken is not None
    assert broken.position == longest.position


def test_record_missing_from_the_index_of_streams_is_reported(log: Log) -> None:
    """The chain is sound: only the index that `history` uses is damaged."""
    content = bytearray(Path(log.path).read_bytes())
    entry = b"\x04\x0f\x09\x01"  # in the index: a text of one character, a 1, and a small number
    at = content.rindex(entry + b"3")
    content[at + len(entry)] ^= 1
    Path(log.path).write_bytes(content)
    store = open_store(log.path, readonly=True)
    with store.read() as tx:
        broken = verify(tx).broken
    store.close()
    assert broken is not None
    assert "the index of streams is damaged" in broken.what


@pytest.mark.parametrize("byte", [0xF6, 0xFF])
def test_invalid_utf8_is_reported(log: Log, byte: int) -> None:
    content = Path(log.path).read_bytes()
    record = next(recorded for recorded in log.events if '"echo 3"' in recorded.data)
    Path(log.path).write_bytes(
        content.replace(
            record.data.encode(), record.data.encode().replace(b"o 3", bytes([byte]) * 3)
        )
    )
    store = open_store(log.path, readonly=True)
    with store.read() as tx:
        broken = verify(tx).broken
    store.close()
    assert broken is not None
    assert (broken.position, broken.what) == (record.position, "it is not UTF-8")


@pytest.mark.parametrize("data", [None, 7])
def test_data_that_is_not_text_is_refused(data: object) -> None:
    with pytest.raises(ChainBroken):
        decode(3, "succeeded", data)  # type: ignore[arg-type]
