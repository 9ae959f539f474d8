"""A server crashes, and connections are lost inside COMMIT: nothing acknowledged is lost.

Each proof has its control, which breaks the rule and must fail.
"""

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from eventstore.errors import OutcomeUnknown, StorageFailed
from eventstore.verify import verify
from tests.ctl import until
from tests.postgres import Server, running
from tests.stores import SAMPLED_SERVERS
from tests.torture.on_server import CRASH, SETTLE
from tests.torture.proof import amount

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.postgres import log as log_module  # noqa: E402
from eventstore.postgres.address import address_from  # noqa: E402
from eventstore.postgres.creating import create  # noqa: E402
from eventstore.postgres.log import PostgresLog  # noqa: E402
from tests.torture.server_crash import OPTIONS, AcknowledgesFirst, crashes_of  # noqa: E402
from tests.torture.server_cuts import (  # noqa: E402
    LooksWithoutTheLock,
    behind_a_proxy,
    cuts_of,
)
from tests.torture.server_writers import JOB, append_and_ask  # noqa: E402

PAGE_BYTES = 8192

CRASHES, CUTS = amount(CRASH) // 2, amount(SETTLE) // 2
"""For each server; most machines have two."""

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module", params=SAMPLED_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that writes what nobody waits for ten seconds later."""
    if request.param == "none":
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    with running(request.param, *OPTIONS) as server:
        yield server


def test_crash_of_the_server_loses_nothing_acknowledged(server: Server) -> None:
    assert crashes_of(server, CRASHES, 0, PostgresLog).findings == []


def test_without_waiting_for_the_disk_acknowledged_records_are_lost(server: Server) -> None:
    findings = crashes_of(server, CRASHES, 0, AcknowledgesFirst).findings
    assert any("acknowledged, but lost" in finding for finding in findings)


WAITS_FOR_STANDBY = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_commit_waits_for_a_standby_if_the_server_demands_one(server: Server) -> None:
    """The processes of the server read a new setting one after the other, so many commits."""
    address = address_from(server.url("standby"))
    create(address)
    is_over, streams = threading.Event(), itertools.count(1)

    def write_on() -> None:
        while not is_over.is_set():
            append_and_ask(log, str(next(streams)))

    with (
        closing(PostgresLog(address)) as log,
        psycopg.connect(address.url, autocommit=True) as owner,
    ):
        owner.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        owner.execute("SELECT pg_reload_conf()")
        writer = threading.Thread(target=write_on)
        writer.start()
        try:
            until(lambda: owner.execute(WAITS_FOR_STANDBY).fetchone(), "a commit that waits")
        finally:
            is_over.set()
            owner.execute("ALTER SYSTEM RESET synchronous_standby_names")
            owner.execute("SELECT pg_reload_conf()")
            writer.join()
        assert log.head().position == next(streams) - 1


def test_damaged_page_is_reported_with_the_position_of_its_first_record(server: Server) -> None:
    address = address_from(server.url("damaged"))
    create(address)
    with closing(PostgresLog(address)) as log, log.write("anna@box") as tx:
        tx.append("1", 0, [JOB] * 200)
    with psycopg.connect(address.url, autocommit=True) as owner:
        owner.execute("CHECKPOINT")  # so that the log of the server does not restore the page
        row = owner.execute(f"SELECT pg_relation_filepath('{address.schema}.events')").fetchone()
    server.crash()
    with open(server.folder / "data" / str(row[0]), "r+b") as table:
        table.seek(PAGE_BYTES)
        table.write(b"\xff" * PAGE_BYTES)
    server.start()
    with closing(PostgresLog(address)) as log, log.read() as tx:
        broken = verify(tx).broken
    assert broken is not None
    assert 1 < broken.position < 200
    assert "cannot read it (invalid page" in broken.what


def test_commit_without_an_answer_is_settled_rightly(server: Server) -> None:
    tally = cuts_of(server, CUTS, 0, PostgresLog)
    assert tally.findings == []
    assert " 0 stored" not in f" {tally.note}"


def test_without_the_lock_a_commit_on_its_way_is_overlooked(server: Server) -> None:
    findings = cuts_of(server, CUTS, 0, LooksWithoutTheLock).findings
    assert any("no, in truth yes" in finding for finding in findings)


def test_outcome_is_unknown_if_the_server_stays_away(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SETTLE_S", 0.3)
    create(address_from(server.url("away")))
    with behind_a_proxy(server, server.url("away")) as (proxy, log):
        proxy.cut_next()
        proxy.close()
        with pytest.raises(OutcomeUnknown, match="connection to the server was lost while pos"):
            append_and_ask(log, "1")


def test_lost_commit_without_events_is_not_reported_as_done(server: Server) -> None:
    create(address_from(server.url("tables")))
    with behind_a_proxy(server, server.url("tables")) as (proxy, log):
        proxy.cut_next()
        with pytest.raises(StorageFailed, match="lost during a commit without events"):
            change_a_table(log)
        change_a_table(log)


def change_a_table(log: PostgresLog) -> None:
    with log.write("anna@box") as tx:
        tx.execute("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")
