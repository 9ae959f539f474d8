"""A process that dies in the middle of a checkpoint leaves a file that opens, whole."""

import shutil
from pathlib import Path

import apsw
import pytest

from eventstore.events.job import Enqueued
from eventstore.location import open_store
from eventstore.sqlite.verify import verify
from tests.faults.storage import failing_disk

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)
EVENTS = 600


def images(folder: Path) -> list[Path]:
    """Copies of file and WAL as they stand before each write of a checkpoint."""
    path = folder / "queue.db"
    taken: list[Path] = []

    def photograph(operation: str, name: str) -> type[apsw.Error] | None:
        if operation == "write" and name.endswith("queue.db"):
            image = folder / f"image-{len(taken)}" / "queue.db"
            image.parent.mkdir()
            for ending in ("", "-wal"):
                shutil.copy(f"{path}{ending}", f"{image}{ending}")
            taken.append(image)
        return None

    with failing_disk() as disk:
        store = open_store(str(path), create=True)
        with store.write("anna@box", 1) as tx:
            for number in range(EVENTS):
                tx.append(str(number), 0, [JOB])
        disk.fault = photograph
        store.close()
    return taken


def test_file_half_way_through_a_checkpoint_is_still_a_queue(tmp_path: Path) -> None:
    taken = images(tmp_path)
    assert len(taken) > 10
    for image in taken:
        for readonly in (True, False):
            store = open_store(str(image), readonly=readonly)
            with store.read() as tx:
                assert verify(tx).sound
                assert tx.head().position == EVENTS
            store.close()


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
