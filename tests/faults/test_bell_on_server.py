"""A bell on a server that hears nothing looks at the log instead, and it survives the server."""

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from eventstore.events.job import Claimed, Enqueued
from eventstore.store import Doorbell, Store
from tests.ctl import Ctl
from tests.faults.altering import AlteringProxy
from tests.faults.pooling import PGBOUNCER, pooling
from tests.postgres import Server
from tests.stores import open_on_server

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.postgres import listener  # noqa: E402
from eventstore.postgres.address import address_from  # noqa: E402

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)
CLAIMED = Claimed(attempt=1, worker="3f", slot=1)

LATE_S, SILENT_S = 10.0, 0.3


@pytest.fixture
def url(postgres: Server, request: pytest.FixtureRequest) -> str:
    """The address of a new queue."""
    url = postgres.url(f"q{abs(hash(request.node.name))}")
    open_on_server(url, create=True).close()
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_on_server(url)) as store:
        yield store


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bells wait a tenth of a second for what they wait seconds for otherwise."""
    monkeypatch.setattr(listener, "ANSWER_S", 0.3)
    monkeypatch.setattr(listener, "PROBE_EVERY_S", 0.3)
    monkeypatch.setattr(listener, "PAUSES_S", (0.05,))


def append(store: Store, stream: str = "1", version: int = 0) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, version, [JOB if version == 0 else CLAIMED])


def rings(bell: Doorbell, within_s: float = LATE_S) -> bool:
    """Return whether the bell rings; all its rings are discarded."""
    rung = bool(select.select([bell], [], [], within_s)[0])
    bell.drain()
    return rung


def settle(bell: Doorbell) -> None:
    """Wait until the bell has rung for what it heard so far."""
    assert rings(bell)
    while rings(bell, SILENT_S):
        pass


def through(url: str, folder: Path | str) -> str:
    """Return the address of the same queue by another socket."""
    before, _, queue = url.partition("host=")
    return f"{before}host={folder}&{queue.partition('&')[2]}"


def wait_for(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + LATE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def followers(url: str) -> int:
    address = address_from(url)
    with psycopg.connect(address.url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {address.quoted_schema}.follows").fetchone()
    return int(row[0])


@pytest.mark.usefixtures("at_once")
def test_deaf_bell_says_so_once_and_rings_all_the_same(
    url: str, store: Store, postgres: Server, tmp_path: Path
) -> None:
    said: list[str] = []
    deaf = AlteringProxy(tmp_path, postgres.folder, lambda data: data.replace(b"LISTEN", b"NOTIFY"))
    with (
        closing(deaf),
        closing(open_on_server(through(url, tmp_path), on_wait=said.append)) as behind,
        closing(behind.guarded_doorbell("work")) as bell,
    ):
        wait_for(lambda: said)
        settle(bell)
        append(store)
        assert rings(bell, 2.0)
        time.sleep(1.0)  # more probes are not heard
        assert len(said) == 1
        assert "hears nothing (a pooler?); looking every 0.5 s" in said[0]


@pytest.mark.usefixtures("at_once")
def test_bell_rings_although_listening_is_refused(
    url: str, store: Store, postgres: Server, tmp_path: Path
) -> None:
    said: list[str] = []
    deaf = AlteringProxy(tmp_path, postgres.folder, lambda data: data.replace(b"LISTEN", b"LISTEM"))
    with (
        closing(deaf),
        closing(open_on_server(through(url, tmp_path), on_wait=said.append)) as behind,
        closing(behind.guarded_doorbell("work")) as bell,
    ):
        settle(bell)
        append(store)
        assert rings(bell, 2.0)
        assert len(said) == 1


@pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
@pytest.mark.parametrize(
    ("mode", "messages"), [("transaction", 1), pytest.param("session", 0, marks=pytest.mark.proof)]
)
@pytest.mark.usefixtures("at_once")
def test_bell_notices_whether_a_pooler_keeps_it_from_hearing(
    url: str,
    store: Store,
    postgres: Server,
    mode: Literal["transaction", "session"],
    messages: int,
) -> None:
    said: list[str] = []
    with (
        pooling(postgres.folder, mode) as folder,
        closing(open_on_server(through(url, folder), on_wait=said.append)) as behind,
        closing(behind.guarded_doorbell("work")) as bell,
    ):
        settle(bell)
        time.sleep(2.0)
        settle_again(bell)
        append(store)
        assert rings(bell, 2.0)
        assert len(said) == messages


def settle_again(bell: Doorbell) -> None:
    while rings(bell, SILENT_S):
        pass


@pytest.mark.usefixtures("at_once")
def test_half_open_connection_is_made_again(
    url: str, store: Store, postgres: Server, tmp_path: Path
) -> None:
    proxy = AlteringProxy(tmp_path, postgres.folder)
    with (
        closing(proxy),
        closing(open_on_server(through(url, tmp_path))) as behind,
        closing(behind.guarded_doorbell("work")) as bell,
    ):
        settle(bell)
        connections = proxy.connections
        proxy.stall()
        append(store)
        assert rings(bell)
        assert proxy.connections > connections
        settle_again(bell)
        append(store, "2")
        assert rings(bell, 2.0)


@pytest.mark.usefixtures("at_once")
def test_bell_rings_after_a_restart_of_the_server(store: Store, postgres: Server) -> None:
    with closing(store.guarded_doorbell("work")) as bell:
        settle(bell)
        postgres.crash()
        time.sleep(0.5)
        postgres.start()
        settle(bell)
        append(store)
        assert rings(bell, 2.0)


def test_bell_is_closed_at_once_while_the_server_is_away(store: Store, postgres: Server) -> None:
    bell = store.doorbell()
    settle(bell)
    postgres.crash()
    time.sleep(0.3)
    began_s = time.monotonic()
    bell.close()
    took_s = time.monotonic() - began_s
    postgres.start()
    assert took_s < 0.5


def test_claims_are_announced_only_while_somebody_follows_the_log(store: Store, url: str) -> None:
    append(store)
    with closing(store.guarded_doorbell("work")) as workers:
        settle(workers)
        append(store, "1", 1)
        assert not rings(workers, SILENT_S)
        with closing(store.doorbell()) as follower:
            settle(follower)
            assert followers(url) == 1
            append(store, "1", 2)
            assert rings(follower, 2.0)
            assert not rings(workers, SILENT_S)
    assert followers(url) == 0


def test_no_commit_falls_between_the_first_read_and_the_first_announcement(
    store: Store, url: str
) -> None:
    append(store)
    with closing(open_on_server(url)) as reading:
        with store.write("anna@box") as tx:  # it has seen that nobody follows
            tx.append("1", 1, [CLAIMED])
            bell = reading.doorbell()
            rings(bell, 1.0)
        with closing(bell):
            assert rings(bell)


def test_follower_that_renews_too_late_rings_for_what_it_missed(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "FOLLOW_EVERY_S", 1.0)
    address = address_from(url)
    append(store)
    with closing(store.doorbell()) as bell:
        settle(bell)
        with psycopg.connect(address.url, autocommit=True) as owner:
            owner.execute(f"UPDATE {address.quoted_schema}.follows SET until = 0")
        append(store, "1", 1)
        assert rings(bell, 3.0)


def test_reader_that_may_not_write_reads_the_head_instead(
    store: Store, url: str, postgres: Server
) -> None:
    address = address_from(url)
    schema = address.quoted_schema
    with psycopg.connect(address.url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS onlooker")
        owner.execute("CREATE ROLE onlooker LOGIN")
        owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO onlooker")
        owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO onlooker")
    append(store)
    with (
        closing(
            open_on_server(url.replace("//postgres@", "//onlooker@"), readonly=True)
        ) as reading,
        closing(reading.doorbell()) as bell,
    ):
        settle(bell)
        append(store, "1", 1)
        assert rings(bell, 2.0)
        assert followers(url) == 0


def test_direct_address_is_used_for_the_bell(
    url: str, store: Store, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = AlteringProxy(tmp_path, postgres.folder)
    with closing(proxy):
        monkeypatch.setenv("QUEUECTL_DB_DIRECT", through(url, tmp_path).partition("&queue=")[0])
        with closing(store.guarded_doorbell("work")) as bell:
            settle(bell)
            assert proxy.connections
            assert os.getpid() in store.listeners()
            append(store)
            assert rings(bell, 2.0)


@pytest.mark.usefixtures("at_once")
def test_direct_address_without_a_server_is_reported(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv("QUEUECTL_DB_DIRECT", "postgresql://nobody@/postgres?host=/nowhere")
    with (
        closing(open_on_server(url, on_wait=said.append)) as other,
        closing(other.guarded_doorbell("work")) as bell,
    ):
        wait_for(lambda: said)
        settle(bell)
        append(store)
        assert rings(bell, 2.0)
    assert said[0].startswith("QUEUECTL_DB_DIRECT cannot be used (no answer from the server of")


def test_direct_address_of_another_queue_is_reported(
    store: Store, url: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    other_database = postgres.database("template1")
    with psycopg.connect(other_database) as connection:
        copied = address_from(url).quoted_schema
        connection.execute(f"CREATE SCHEMA {copied}")
        connection.execute(f"CREATE TABLE {copied}.meta (id UUID, format INT, complete INT)")
        connection.execute(f"INSERT INTO {copied}.meta VALUES (gen_random_uuid(), 1, 1)")
    monkeypatch.setenv("QUEUECTL_DB_DIRECT", other_database)
    try:
        with (
            closing(open_on_server(url, on_wait=said.append)) as opened,
            closing(opened.guarded_doorbell("work")) as bell,
        ):
            wait_for(lambda: said)
            settle(bell)
            append(store)
            assert rings(bell, 2.0)
    finally:
        with psycopg.connect(other_database) as connection:
            connection.execute(f"DROP SCHEMA {copied} CASCADE")
    assert "is another queue than postgresql://" in said[0]


def test_command_that_waits_goes_on_after_a_restart_of_the_server(
    store: Store, url: str, postgres: Server, tmp_path: Path
) -> None:
    ctl = Ctl(tmp_path)
    ctl.env |= {"QUEUECTL_DB": url, "XDG_STATE_HOME": str(tmp_path / "state")}
    with ctl.running("events", "--since", "@0", "-f", "--jsonl") as feed:
        append(store)
        feed.says("enqueued")
        postgres.crash()
        time.sleep(1.2)  # it checks the place of the queue each second
        postgres.start()
        append(store, "2")
        feed.says('"stream":"2"')
