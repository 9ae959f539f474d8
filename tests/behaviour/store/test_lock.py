"""Locks end with their holder, and can be passed to another process by their descriptor."""

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.store import Store


def test_lock_has_one_holder_at_a_time(store: Store, opened: Callable[..., Store]) -> None:
    mine, other = store.lock("worker-3f"), opened()
    assert mine.acquire()
    assert not other.lock("worker-3f").acquire()
    mine.release()
    assert other.lock("worker-3f").acquire_existing()


def test_missing_lock_file_is_reported(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.lock("worker-3f").acquire_existing()


def test_lock_ends_with_its_process(store: Store) -> None:
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        held = store.lock("worker-3f")
        theirs.send(b"1" if held.acquire() else b"0")
        theirs.recv(1)
        os._exit(0)
    assert ours.recv(1) == b"1"
    assert not store.lock("worker-3f").acquire()
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert store.lock("worker-3f").acquire()


def test_lock_whose_descriptor_was_sent_stays_held(store: Store) -> None:
    ours, theirs = socket.socketpair()
    lock = store.lock("worker-3f.keeper")
    assert lock.acquire()
    socket.send_fds(ours, [b"x"], [lock.fileno()])
    lock.release()
    assert not store.lock("worker-3f.keeper").acquire()
    _, (received,), _, _ = socket.recv_fds(theirs, 1, 1)
    os.close(received)
    assert store.lock("worker-3f.keeper").acquire()


def test_lock_files_are_private_to_the_user(store: Store) -> None:
    store.lock("worker-3f").acquire()
    folder = store.side_folder.path
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert os.stat(f"{folder}/locks/worker-3f").st_mode & 0o777 == 0o600


def test_lock_is_taken_again_if_its_file_is_removed_at_that_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last holder removes the file between open and flock: others would not find this lock."""
    lock, taken = store.lock("worker-3f"), fcntl.flock
    file = Path(f"{store.side_folder.path}/locks/worker-3f")

    def removed_first(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", taken)
        file.unlink()
        taken(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    assert lock.acquire()
    assert lock.has_file()
    assert not store.lock("worker-3f").acquire()
    lock.release()
