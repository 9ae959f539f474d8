"""Threads that append to a queue on a server while it fails, and the answers that they got."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing

import psycopg

from eventstore.chain import first_break
from eventstore.errors import Away, StoreError
from eventstore.events.job import Enqueued
from eventstore.postgres.address import address_from
from eventstore.postgres.log import PostgresLog

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)

WRITERS = 4

AWAY_S = 0.05
"""The pause after an append that found no server."""

Place = tuple[int, bytes]
"""Position and hash of a record."""


class Crew:
    """Threads that write until they are ended."""

    def __init__(self, write: Callable[[str], None], names: Iterable[str]) -> None:
        """write: what each thread does until `has_ended`; its argument is the thread's name."""
        self.has_ended = False
        self._threads = [threading.Thread(target=write, args=(name,)) for name in names]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until each thread knows the outcome of its last request."""
        self.has_ended = True
        for thread in self._threads:
            thread.join()


class Writers:
    """Threads that append to one queue until they are ended, and note the outcomes."""

    def __init__(self, url: str, kind: type[PostgresLog]) -> None:
        self.acknowledged: list[Place] = []
        self.refused: list[Place] = []
        self.errors: list[StoreError | psycopg.Error] = []
        self._address, self._kind = address_from(url), kind
        self._crew = Crew(self._write, [os.urandom(4).hex() for _ in range(WRITERS)])
        self._crew.start()

    def end(self) -> None:
        """Wait until each writer knows the outcome of its last append."""
        self._crew.end()

    def _write(self, stream: str) -> None:
        version = 0
        try:
            with closing(self._kind(self._address)) as log:
                while not self._crew.has_ended:
                    version += self._append(log, stream, version)
        except (StoreError, psycopg.Error) as error:
            self.errors.append(error)

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
            time.sleep(AWAY_S)
            return 0
        self.acknowledged.append(last)
        return 1


def append_and_ask(log: PostgresLog, stream: str) -> tuple[str, Place]:
    """Return whether the append was reported as stored, and its place."""
    last = (0, b"")
    try:
        with log.write("anna@box") as tx:
            tx.append(stream, 0, [JOB])
            last = tx.last
    except Away:
        return "no", last
    return "yes", last


def broken_promises(url: str, writers: Writers) -> list[str]:
    """Compare the log with the answers that the writers got; return the differences."""
    with closing(PostgresLog(address_from(url))) as log, log.read() as tx:
        records = list(tx.raw())
    stored = {(record.position, record.hash) for record in records}
    findings = [
        f"acknowledged, but lost: {position}"
        for position, hash_ in writers.acknowledged
        if (position, hash_) not in stored
    ]
    findings += [
        f"refused, but stored: {position}"
        for position, hash_ in writers.refused
        if (position, hash_) in stored
    ]
    if broken := first_break(records):
        findings.append(str(broken))
    return findings
