"""A server crashes, and connections are lost inside COMMIT: nothing acknowledged is lost.

Each proof has its control, which breaks the rule and must fail.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from eventstore.chain import first_break
from eventstore.errors import Away, OutcomeUnknown, StorageFailed, StoreError
from eventstore.events.job import Enqueued
from eventstore.verify import verify
from tests.faults.cutting import CuttingProxy
from tests.postgres import Server, running
from tests.stores import SAMPLED_SERVERS
from tests.torture.proof import PROVE

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.postgres import log as log_module  # noqa: E402
from eventstore.postgres.address import address_from  # noqa: E402
from eventstore.postgres.creating import create  # noqa: E402
from eventstore.postgres.log import HASH_AT, PostgresLog  # noqa: E402
from eventstore.postgres.transaction import PostgresTransaction  # noqa: E402

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)

PAGE_BYTES = 8192

WRITERS = 4
CRASHES = 10 if os.environ.get(PROVE) else 1
CUTS = 300 if os.environ.get(PROVE) else 20

pytestmark = pytest.mark.sampled

Opened = Callable[[str], PostgresLog]


@pytest.fixture(scope="module", params=SAMPLED_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that writes what nobody waits for ten seconds later."""
    if request.param == "none":
        pytest.skip("no PostgreSQL server is installed, or this user has no account name")
    with running(request.param, "wal_writer_delay=10s") as server:
        yield server


class AcknowledgesFirst(PostgresLog):
    """The control: it does not wait until the server has synced a commit."""

    def _wait_until_flushed(self, connection: Any, transaction: PostgresTransaction) -> None:
        pass


class LooksWithoutTheLock(PostgresLog):
    """The control: it looks for a commit that may be on its way."""

    def _look(self, position: int) -> str | None:
        sql = HASH_AT.format(schema=self._schema).encode()
        rows = self._connection.execute(sql, {"position": position}).fetchall()
        return str(rows[0][0]) if rows else None


class Writers:
    """Threads that append to one queue until they are ended, and note the outcomes."""

    def __init__(self, url: str, kind: type[PostgresLog]) -> None:
        self.acknowledged: list[tuple[int, bytes]] = []
        self.refused: list[tuple[int, bytes]] = []
        self.errors: list[str] = []
        self._address, self._kind, self._ended = address_from(url), kind, False
        self._threads = [
            threading.Thread(target=self._write, args=(os.urandom(4).hex(),))
            for _ in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until each writer knows the outcome of its last append."""
        self._ended = True
        for thread in self._threads:
            thread.join()

    def _write(self, stream: str) -> None:
        version = 0
        try:
            with closing(self._kind(self._address)) as log:
                while not self._ended:
                    version += self._append(log, stream, version)
        except (StoreError, psycopg.Error) as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    def _append(self, log: PostgresLog, stream: str, version: int) -> int:
        """Append an event and return how many were stored."""
        last = None
        try:
            with log.write("anna@box") as tx:
                tx.append(stream, version, [JOB])
                last = tx.last
        except Away:
            if last is not None:
                self.refused.append(last)
            time.sleep(0.05)
            return 0
        self.acknowledged.append(last)
        return 1


def crash(server: Server, queue: str, kind: type[PostgresLog], seed: int) -> tuple[int, list[str]]:
    """Crash the server under writers; return how much was acknowledged, and broken promises."""
    address = address_from(server.url(queue))
    create(address)
    writers = Writers(server.url(queue), kind)
    time.sleep(Random(seed).uniform(0.2, 0.5))
    server.crash()
    server.start()
    writers.end()
    with closing(PostgresLog(address)) as log, log.read() as tx:
        records = list(tx.raw())
    stored = {(record.position, record.hash) for record in records}
    findings = [
        f"acknowledged, but lost: {place}" for place in writers.acknowledged if place not in stored
    ]
    findings += [f"refused, but stored: {place}" for place in writers.refused if place in stored]
    findings += writers.errors
    if broken := first_break(records):
        findings.append(str(broken))
    return len(writers.acknowledged), findings


def crashes(server: Server, kind: type[PostgresLog]) -> list[str]:
    findings = []
    acknowledged = 0
    for seed in range(CRASHES):
        amount, broken = crash(server, f"{kind.__name__}-{seed}", kind, seed)
        acknowledged += amount
        findings += broken
    assert acknowledged > 10 * CRASHES
    print(f"{acknowledged} acknowledged in {CRASHES} crashes, {len(findings)} findings")
    return findings


def test_crash_of_the_server_loses_nothing_acknowledged(server: Server) -> None:
    assert crashes(server, PostgresLog) == []


def test_without_waiting_for_the_disk_acknowledged_records_are_lost(server: Server) -> None:
    findings = crashes(server, AcknowledgesFirst)
    assert any("acknowledged, but lost" in finding for finding in findings)


def test_commit_waits_for_a_standby_if_the_server_demands_one(server: Server) -> None:
    address = address_from(server.url("standby"))
    create(address)
    with (
        closing(PostgresLog(address)) as log,
        psycopg.connect(address.url, autocommit=True) as owner,
    ):
        writer = threading.Thread(target=append_and_ask, args=(log, "1"))
        owner.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        owner.execute("SELECT pg_reload_conf()")
        wait_for(lambda: setting(owner, "synchronous_standby_names") == "nobody")
        writer.start()
        writer.join(0.5)
        waits = writer.is_alive()
        owner.execute("ALTER SYSTEM RESET synchronous_standby_names")
        owner.execute("SELECT pg_reload_conf()")
        writer.join()
        assert waits
        assert log.head().position == 1


def setting(connection: Any, name: str) -> str:
    return str(connection.execute(f"SHOW {name}").fetchone()[0])


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


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


def settle(server: Server, kind: type[PostgresLog]) -> tuple[dict[str, int], list[str]]:
    """Cut connections inside COMMIT; return how often which answer came, and wrong ones."""
    queue = f"{kind.__name__}-cut"
    create(address_from(server.url(queue)))
    answers = {"yes": 0, "no": 0}
    findings = []
    with (
        behind_a_proxy(server, queue, kind) as (proxy, log),
        closing(PostgresLog(address_from(server.url(queue)))) as direct,
    ):
        for number in range(CUTS):
            where = proxy.cut_next()
            answer, last = append_and_ask(log, f"stream-{number}")
            answers[answer] += 1
            proxy.wait_for_late_commits()
            with direct.write("truth") as tx:  # the lock: the cut session has ended
                truth = "yes" if tx.hash_at(last[0]) == last[1].hex() else "no"
            if answer != truth:
                findings.append(f"cut {where} COMMIT: {answer}, in truth {truth}")
    return answers, findings


@contextmanager
def behind_a_proxy(
    server: Server, queue: str, kind: type[PostgresLog] = PostgresLog
) -> Iterator[tuple[CuttingProxy, PostgresLog]]:
    """Return a proxy, and a log that is reached through it."""
    with (
        TemporaryDirectory(prefix="queuectl-cut-") as folder,
        closing(CuttingProxy(Path(folder), server.folder, Random(1))) as proxy,
        closing(kind(address_from(server.url(queue).replace(str(server.folder), folder)))) as log,
    ):
        yield proxy, log


def append_and_ask(log: PostgresLog, stream: str) -> tuple[str, tuple[int, bytes]]:
    """Return whether the append was reported as stored, and its place."""
    last = (0, b"")
    try:
        with log.write("anna@box") as tx:
            tx.append(stream, 0, [JOB])
            last = tx.last
    except Away:
        return "no", last
    return "yes", last


def test_commit_without_an_answer_is_settled_rightly(server: Server) -> None:
    answers, findings = settle(server, PostgresLog)
    print(f"{answers}, {len(findings)} wrong")
    assert findings == []
    assert min(answers.values()) > 0


def test_without_the_lock_a_commit_on_its_way_is_overlooked(server: Server) -> None:
    answers, findings = settle(server, LooksWithoutTheLock)
    print(f"{answers}, {len(findings)} wrong")
    assert any("no, in truth yes" in finding for finding in findings)


def test_outcome_is_unknown_if_the_server_stays_away(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SETTLE_S", 0.3)
    create(address_from(server.url("away")))
    with behind_a_proxy(server, "away") as (proxy, log):
        proxy.cut_next()
        proxy.close()
        with pytest.raises(OutcomeUnknown, match="connection to the server was lost while pos"):
            append_and_ask(log, "1")


def test_lost_commit_without_events_is_not_reported_as_done(server: Server) -> None:
    create(address_from(server.url("tables")))
    with behind_a_proxy(server, "tables") as (proxy, log):
        proxy.cut_next()
        with pytest.raises(StorageFailed, match="lost during a commit without events"):
            change_a_table(log)
        change_a_table(log)


def change_a_table(log: PostgresLog) -> None:
    with log.write("anna@box") as tx:
        tx.execute("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")
