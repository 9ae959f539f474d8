"""The leases of workers: a file has none; on a server each worker replaces a number in its row."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from eventstore.errors import Away, Gone
from eventstore.store import Lives, Store
from tests.stores import ON_A_SERVER


@pytest.fixture
def lives(store: Store) -> Iterator[Lives]:
    lives = store.lives()
    assert lives is not None
    with closing(lives):
        yield lives


def take(store: Store, worker: str, nonce: int | None) -> bool:
    with store.write("anna@box") as tx:
        return tx.take_lease(worker, nonce)


def end_sessions(url: str) -> None:
    """End all sessions of queues, as a restart of the server does."""
    import psycopg

    from eventstore.postgres.address import address_from

    with psycopg.connect(address_from(url).url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE application_name = 'queuectl'"
        )


def test_a_file_has_no_leases(store: Store) -> None:
    assert store.lives() is None
    assert take(store, "w1", 7)
    assert store.last_beats() == {}


@ON_A_SERVER
def test_a_beat_returns_the_nonces_of_all_workers(lives: Lives) -> None:
    lives.begin("w1", -(2**63))
    lives.begin("w2", 2**63 - 1)
    assert lives.beat("w1", 3) == {"w1": 3, "w2": 2**63 - 1}


@ON_A_SERVER
def test_a_worker_without_a_lease_learns_it_from_its_beat(lives: Lives) -> None:
    lives.begin("w1", 1)
    lives.end("w1")
    assert lives.beat("w1", 2) is None
    lives.begin("w2", 1)
    assert lives.beat("w1", 2) is None


@ON_A_SERVER
def test_a_lease_with_the_seen_nonce_is_taken(store: Store, lives: Lives) -> None:
    lives.begin("w1", 1)
    assert take(store, "w1", 1)
    assert lives.beat("w1", 2) is None
    assert not take(store, "w1", 1)


@ON_A_SERVER
def test_a_lease_with_a_newer_nonce_is_not_taken(store: Store, lives: Lives) -> None:
    lives.begin("w1", 1)
    lives.beat("w1", 2)
    assert not take(store, "w1", 1)
    assert lives.beat("w1", 3) == {"w1": 3}


@ON_A_SERVER
def test_a_lease_can_be_taken_whatever_its_nonce_is(store: Store, lives: Lives) -> None:
    lives.begin("w1", 1)
    assert take(store, "w1", None)


@ON_A_SERVER
def test_a_lease_that_begins_again_replaces_its_nonce(lives: Lives) -> None:
    lives.begin("w1", 1)
    lives.begin("w1", 2)
    assert lives.beat("w1", 3) == {"w1": 3}


@ON_A_SERVER
def test_beats_need_no_write_lock(store: Store, lives: Lives) -> None:
    lives.begin("w1", 1)
    with store.write("anna@box"):
        assert lives.beat("w1", 2) == {"w1": 2}


@ON_A_SERVER
def test_the_time_of_the_last_beat_is_that_of_the_server(store: Store, lives: Lives) -> None:
    before_us = store.wall_us()
    lives.begin("w1", 1)
    with store.read():
        inside = store.last_beats()
    late_us = 1_000_000  # how late the answer may be by which the store knows the server's clock
    assert before_us <= inside["w1"] <= store.wall_us() + late_us
    assert store.last_beats() == inside


@ON_A_SERVER
def test_a_lost_connection_is_made_again(lives: Lives, url: str) -> None:
    lives.begin("w1", 1)
    end_sessions(url)
    with pytest.raises(Away):
        lives.beat("w1", 2)
    assert lives.beat("w1", 3) == {"w1": 3}


@ON_A_SERVER
def test_another_queue_with_the_same_name_is_refused(store: Store, url: str) -> None:
    from eventstore.postgres.address import address_from
    from eventstore.postgres.lives import PostgresLives

    with closing(PostgresLives(address_from(url), "another id")) as lives, pytest.raises(Gone):
        lives.beat("w1", 1)


@ON_A_SERVER
def test_a_server_that_is_silent_is_given_up(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventstore.postgres import lives as module
    from eventstore.postgres.address import address_from

    monkeypatch.setattr(module, "ANSWER_S", 1)
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    address = address_from(f"postgresql://postgres@127.0.0.1:{port}/postgres")
    with silent, closing(module.PostgresLives(address, "id")) as lives:
        began_s = time.monotonic()
        with pytest.raises(Away):
            lives.beat("w1", 1)
        assert time.monotonic() - began_s < 10
