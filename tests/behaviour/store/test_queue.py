"""What a store says of its queue: its key, who uses it, its outputs, and a copy of it."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from eventstore.events.job import Enqueued
from eventstore.file_identity import file_key
from eventstore.queue_file import check_copy, write_copy
from eventstore.store import Store, StoredOutput

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


def append(store: Store, stream: str) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, 0, [JOB])


def test_key_is_the_same_for_all_who_open_the_queue(
    store: Store, opened: Callable[..., Store]
) -> None:
    assert opened(readonly=True).key == store.key
    assert opened().label == store.label


def test_process_that_has_the_queue_open_is_recognized(store: Store) -> None:
    assert store.has_open(os.getpid())
    assert not store.has_open(os.getppid())


def test_listeners_are_the_processes_with_a_doorbell(store: Store) -> None:
    assert store.listeners() == set()
    with closing(store.doorbell()), closing(store.guarded_doorbell()):
        assert store.listeners() == {os.getpid()}
    assert store.listeners() == set()


def test_output_is_stored_with_the_transaction(store: Store) -> None:
    with store.write("anna@box") as tx:
        tx.keep_output("1", 1, 6, b"stored")
        tx.keep_output("1", 2, 9_000_000, None)
        assert tx.output("1", 1) == StoredOutput(6, b"stored")
    with store.read() as tx:
        assert tx.output("1", 2) == StoredOutput(9_000_000, None)
        assert tx.output("1", 3) is None


def test_pieces_of_a_long_output_come_in_order_and_from_an_offset(store: Store) -> None:
    files = store.output_files("1", 1, 1_000)
    files.write(0, b"first\n")
    files.write(6, b"second\n")
    files.close()
    assert b"".join(piece.data for piece in store.pieces("1", 1)) == b"first\nsecond\n"
    assert b"".join(piece.data for piece in store.pieces("1", 1, 6)) == b"second\n"
    assert list(store.pieces("1", 2)) == []


def test_copy_is_a_queue_file_with_the_same_log_and_another_key(
    store: Store, tmp_path: Path
) -> None:
    append(store, "1")
    copy = str(tmp_path / "copy.db")
    Path(copy).touch()
    head = write_copy(store, copy)
    append(store, "2")
    checked = check_copy(copy, copy, None)
    assert checked.head == head
    assert head.position == 1
    assert file_key(copy) != store.key
    with store.read() as tx:
        assert checked.first_hash == tx.hash_at(1)
        assert tx.hash_at(3) is None
        assert tx.damage() is None
        assert tx.unindexed() is None
