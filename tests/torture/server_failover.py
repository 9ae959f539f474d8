"""A primary server is killed and its standby promoted, under writers.

With synchronous replication nothing acknowledged is lost. Without it, the connected programs say
that the log went back.
"""

import os
import signal
import time
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import psycopg

from eventstore.errors import LogWentBack
from eventstore.postgres.address import address_from
from eventstore.postgres.creating import create
from eventstore.postgres.log import PostgresLog
from tests.postgres import Server, installations

from .proof import Tally
from .server_writers import Writers, broken_promises

Replication = Literal["synchronous", "asynchronous"]

SENDERS = "SELECT pid FROM pg_stat_replication"


class Failover(NamedTuple):
    """What a failover did to the writers."""

    acknowledged: int
    lost: int
    went_back: int
    """How many writers reported that the log went back."""
    findings: list[str]
    """Everything else that broke a promise."""


def failovers(
    installation: str, amount: int, seed: int, replication: Replication = "synchronous"
) -> Tally:
    """Kill so many primary servers, each under writers. A finding is a broken promise."""
    acknowledged = lost = went_back = 0
    findings: list[str] = []
    for number in range(amount):
        name = f"{replication}-{seed}-{number}"
        result = _failover(installation, replication, name)
        acknowledged += result.acknowledged
        lost += result.lost
        went_back += result.went_back
        findings += [f"{name}: {words}" for words in result.findings]
        if replication == "synchronous" and result.lost:
            findings.append(f"{name}: {result.lost} acknowledged events are lost")
        if replication == "asynchronous" and result.lost and not result.went_back:
            findings.append(f"{name}: no writer noticed that {result.lost} events are lost")
    note = f"{acknowledged:,} events acknowledged, {lost} lost, {went_back} writers noticed"
    return Tally(amount, findings, note)


def _failover(installation: str, replication: Replication, name: str) -> Failover:
    random = Random(name)
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(TemporaryDirectory(prefix="queuectl-pg-"))) for _ in range(2)
        ]
        primary = Server(installations()[installation], folders[0], *_options(replication))
        primary.start()
        stack.callback(primary.kill)
        standby = primary.standby(folders[1])
        standby.start()
        stack.callback(standby.kill)
        url = _url(folders, name)
        create(address_from(url))
        writers = Writers(url, PostgresLog)
        time.sleep(random.uniform(0.2, 0.5))  # the moment of the fault, not a wait
        _stop_replication(primary)
        time.sleep(random.uniform(0, 0.3))
        primary.kill()
        standby.promote()
        time.sleep(0.2)  # some appends on the new primary
        writers.end()
        return _judged(url, writers)


def _judged(url: str, writers: Writers) -> Failover:
    broken = broken_promises(url, writers)
    lost = [words for words in broken if "but lost" in words]
    went_back = [error for error in writers.errors if isinstance(error, LogWentBack)]
    others = [
        f"{type(error).__name__}: {error}" for error in writers.errors if error not in went_back
    ]
    findings = [words for words in broken if words not in lost] + others
    return Failover(len(writers.acknowledged), len(lost), len(went_back), findings)


def _options(replication: Replication) -> tuple[str, ...]:
    return ("synchronous_standby_names='*'",) if replication == "synchronous" else ()


def _url(folders: list[Path], queue: str) -> str:
    """Return an address that leads to whichever server can be written."""
    hosts = ",".join(map(str, folders))
    return (
        f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"
        f"&queue={queue}"
    )


def _stop_replication(primary: Server) -> None:
    """Stop the process that sends the WAL to the standby, as a stalled network does."""
    with closing(psycopg.connect(address_from(primary.url("any")).url)) as connection:
        for (pid,) in connection.execute(SENDERS).fetchall():
            os.kill(pid, signal.SIGSTOP)
