"""The doorbells of a queue file are FIFOs in its folder."""

import os
import resource
import select
from contextlib import closing

from eventstore.events.job import Enqueued
from eventstore.store import Doorbell, Store

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


def rung(bell: Doorbell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def append(store: Store, stream: str = "1", version: int = 0, times: int = 1) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, version, [JOB] * times)


def test_bell_of_a_dead_listener_is_removed(store: Store) -> None:
    child = os.fork()
    if child == 0:
        store.doorbell()
        os._exit(0)
    os.waitpid(child, 0)
    folder = f"{store.side_folder.path}/bells"
    assert len(os.listdir(folder)) == 1
    append(store, "1")
    assert os.listdir(folder) == []


def test_bell_that_is_being_created_is_not_removed(store: Store) -> None:
    with closing(store.doorbell()):
        folder = f"{store.side_folder.path}/bells"
        os.mkfifo(f"{folder}/.9-0")
        append(store, "1")
        assert ".9-0" in os.listdir(folder)


def test_full_bell_never_blocks_a_writer(store: Store) -> None:
    with closing(store.doorbell()) as bell:
        folder = f"{store.side_folder.path}/bells"
        full = os.open(f"{folder}/{os.listdir(folder)[0]}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(full, b"!" * 65536)
        except BlockingIOError:
            pass
        append(store, "1")
        assert rung(bell)
        os.close(full)


def test_closed_bell_leaves_no_file(store: Store) -> None:
    store.doorbell().close()
    assert os.listdir(f"{store.side_folder.path}/bells") == []


def test_commit_succeeds_if_no_bell_can_be_rung(store: Store) -> None:
    """No descriptor is free: the bell is kept, and rings after a later commit."""
    with closing(store.doorbell()) as bell:
        append(store, "1")
        bell.drain()
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        hoard = [os.dup(0)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hoard) + 1, usual[1]))
        try:
            append(store, "2")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
            os.close(hoard[0])
        assert store.head().position == 2
        append(store, "3")
        assert rung(bell)
