"""Bits that flip in the log: `verify` names them."""

from pathlib import Path

import pytest

from eventstore.events.job import Enqueued
from eventstore.location import open_store
from eventstore.sqlite.verify import verify


@pytest.mark.parametrize("byte", [0xF6, 0xFF])
def test_byte_that_is_not_utf8_is_named(tmp_path: Path, byte: int) -> None:
    path = tmp_path / "queue.db"
    store = open_store(str(path), create=True)
    with store.write("anna@box", 1) as tx:
        for number in range(20):
            job = Enqueued(command=f"x{number}y", max_retries=3, backoff_base=2.0)
            tx.append(str(number), 0, [job])
    store.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"x11y", b"x1" + bytes([byte]) + b"y", 1))
    reader = open_store(str(path), readonly=True)
    with reader.read() as tx:
        broken = verify(tx).broken
    assert broken is not None
    assert (broken.position, broken.what) == (12, "it is not UTF-8")
    reader.close()
