"""A server crashes under writers: nothing that was acknowledged is lost."""

import time
from random import Random
from typing import Any

from eventstore.postgres.address import address_from
from eventstore.postgres.creating import create
from eventstore.postgres.log import PostgresLog
from eventstore.postgres.round_trip import Command
from eventstore.postgres.transaction import PostgresTransaction
from tests.postgres import Server, running

from .proof import Tally
from .server_writers import Writers, broken_promises

OPTIONS = ("wal_writer_delay=10s",)
"""The server writes what nobody waits for ten seconds later."""


class AcknowledgesFirst(PostgresLog):
    """The control: it does not wait until the server has synced a commit."""

    def _flushing(self, connection: Any, transaction: PostgresTransaction) -> list[Command]:
        return []


def crashes(
    installation: str, amount: int, seed: int, kind: type[PostgresLog] = PostgresLog
) -> Tally:
    """Crash a server so many times. kind: how the writers commit."""
    with running(installation, *OPTIONS) as server:
        return crashes_of(server, amount, seed, kind)


def crashes_of(server: Server, amount: int, seed: int, kind: type[PostgresLog]) -> Tally:
    """Crash this server so many times, and start it again; each time with a new queue."""
    acknowledged, findings = 0, []
    for number in range(amount):
        name = f"{kind.__name__}-{seed}-{number}"
        amount_acknowledged, broken = _crash(server, server.url(name), kind, Random(name))
        acknowledged += amount_acknowledged
        findings += [f"{name}: {words}" for words in broken]
    return Tally(amount, findings, f"{acknowledged:,} events acknowledged")


def _crash(
    server: Server, url: str, kind: type[PostgresLog], random: Random
) -> tuple[int, list[str]]:
    """Crash the server under writers; return how much was acknowledged, and broken promises."""
    create(address_from(url))
    writers = Writers(url, kind)
    time.sleep(random.uniform(0.2, 0.5))  # the moment of the crash, not a wait
    server.crash()
    server.start()
    writers.end()
    errors = [f"{type(error).__name__}: {error}" for error in writers.errors]
    return len(writers.acknowledged), [*broken_promises(url, writers), *errors]
