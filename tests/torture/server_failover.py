"""A primary server is killed and its standby promoted, under programs that enqueue.

With synchronous replication nothing acknowledged is lost. Without it, the connected programs say
that the log went back. In both cases the log has no gap, and the views match it.
"""

import itertools
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import psycopg

from eventstore.chain import first_break
from eventstore.errors import Away, LogWentBack, StoreError
from eventstore.location import open_store
from eventstore.postgres.address import address_from
from eventstore.postgres.creating import create
from projections.rebuild import compare
from projections.registry import first_schema
from queuectl.api import Queue
from queuectl.errors import QueueError
from tests.postgres import Server, Standby, installations

from .proof import Tally
from .server_writers import AWAY_S, WRITERS, Crew

Replication = Literal["synchronous", "asynchronous"]

SENDERS = "SELECT pid FROM pg_stat_replication"


class Enqueuers:
    """Threads that enqueue jobs until they are ended, and the answers that they got."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.errors: list[Exception] = []
        self._url = url
        self._crew = Crew(self._enqueue_all, [f"thread-{number}" for number in range(WRITERS)])
        self._crew.start()

    def end(self) -> None:
        """Wait until each thread knows the outcome of its last request."""
        self._crew.end()

    def _enqueue_all(self, name: str) -> None:
        try:
            with Queue(self._url) as queue:
                for number in itertools.count(1):
                    self._enqueue(queue, f"{name}-job-{number}")
                    if self._crew.has_ended:
                        return
        except (StoreError, QueueError, psycopg.Error) as error:
            self.errors.append(error)

    def _enqueue(self, queue: Queue, job_id: str) -> None:
        try:
            queue.enqueue("true", id=job_id)
        except Away:
            self.refused.append(job_id)
            time.sleep(AWAY_S)
        else:
            self.acknowledged.append(job_id)


class Failover(NamedTuple):
    """What a failover did to the enqueuing threads."""

    acknowledged: int
    lost: int
    went_back: int
    """How many of them reported that the log went back."""
    findings: list[str]
    """Everything else that broke a promise."""


def failovers(
    installation: str, amount: int, seed: int, replication: Replication = "synchronous"
) -> Tally:
    """Kill so many primary servers; a finding is a broken promise."""
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
            findings.append(f"{name}: {result.lost} acknowledged jobs are lost")
        if replication == "asynchronous" and result.lost and not result.went_back:
            findings.append(f"{name}: no program noticed that {result.lost} jobs are lost")
    note = f"{acknowledged:,} jobs acknowledged, {lost} lost, {went_back} programs noticed"
    return Tally(amount, findings, note)


def _failover(installation: str, replication: Replication, name: str) -> Failover:
    random = Random(name)
    with primary_and_standby(installation, replication) as (primary, standby):
        url = address_of_both(primary, standby, name)
        create(address_from(url), first_schema)
        enqueuers = Enqueuers(url)
        time.sleep(random.uniform(0.2, 0.5))  # the moment of the fault, not a wait
        stop_replication(primary)
        time.sleep(random.uniform(0, 0.3))
        primary.kill()
        standby.promote()
        time.sleep(0.2)  # some jobs on the new primary
        enqueuers.end()
        return _judged(url, enqueuers)


@contextmanager
def primary_and_standby(
    installation: str, replication: Replication
) -> Iterator[tuple[Server, Standby]]:
    """Run a server and a standby of it during the block."""
    options = ("synchronous_standby_names='*'",) if replication == "synchronous" else ()
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(TemporaryDirectory(prefix="queuectl-pg-"))) for _ in range(2)
        ]
        primary = Server(installations()[installation], folders[0], *options)
        primary.start()
        stack.callback(primary.kill)
        standby = primary.standby(folders[1])
        standby.start()
        stack.callback(standby.kill)
        yield primary, standby


def address_of_both(primary: Server, standby: Standby, queue: str) -> str:
    """Return an address that leads to whichever of the two can be written."""
    return (
        f"postgresql://postgres@/postgres?host={primary.folder},{standby.folder}"
        f"&target_session_attrs=read-write&queue={queue}"
    )


def stop_replication(primary: Server) -> None:
    """Stop the process that sends the WAL to the standby, as a stalled network does."""
    with closing(psycopg.connect(address_from(primary.url("any")).url)) as connection:
        for (pid,) in connection.execute(SENDERS).fetchall():
            os.kill(pid, signal.SIGSTOP)


def _judged(url: str, enqueuers: Enqueuers) -> Failover:
    with closing(open_store(url, readonly=True)) as store:
        with store.read() as tx:
            records = list(tx.raw())
        findings = [f"the views differ: {difference}" for difference in compare(store)]
    stored = {record.stream for record in records}
    lost = [job_id for job_id in enqueuers.acknowledged if job_id not in stored]
    findings += [
        f"refused, but stored: {job_id}" for job_id in enqueuers.refused if job_id in stored
    ]
    if broken := first_break(records):
        findings.append(str(broken))
    went_back = [error for error in enqueuers.errors if isinstance(error, LogWentBack)]
    findings += [
        f"{type(error).__name__}: {error}" for error in enqueuers.errors if error not in went_back
    ]
    return Failover(len(enqueuers.acknowledged), len(lost), len(went_back), findings)
