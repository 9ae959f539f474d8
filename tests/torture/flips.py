"""Flips of single bits in the log: each is harmless, or `verify` reports it."""

import os
from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

import apsw

from eventstore.errors import StoreError
from eventstore.events.recorded import Recorded
from eventstore.location import open_store
from eventstore.store import Store
from eventstore.verify import verify
from projections.folds.job import Job
from queuectl.api import Queue
from queuectl.core.requests import Claim, Finish, NewJob, Outcome
from tests.torture.proof import Proof, Tally

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None

LOG_BYTES = 65_536
"""The size of the table of events, without its index."""

PAGES = "SELECT pageno, pgsize FROM dbstat WHERE name IN ('events', 'sqlite_autoindex_events_1')"
TABLE_BYTES = "SELECT sum(pgsize) FROM dbstat WHERE name = 'events'"


class Log(NamedTuple):
    """A closed queue file and its content."""

    path: str
    offsets: list[int]
    """The offsets in the file of all bytes of the events and their index."""
    events: list[Recorded]
    streams: dict[str, list[Recorded]]


def flip(amount: int, seed: int) -> Tally:
    """Flip so many bits, one at a time; if there are fewer, each of them once."""
    with TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        log = written(os.path.join(folder, "queue.db"))
        bits = len(log.offsets) * 8
        chosen = range(bits) if amount >= bits else Random(seed).sample(range(bits), amount)
        return flipped(log, ((log.offsets[number // 8], number % 8) for number in chosen))


def flipped(log: Log, bits: Iterable[tuple[int, int]]) -> Tally:
    """Flip these bits, one at a time. bits: offset of the byte, number of the bit in it."""
    findings: list[str] = []
    ends: Counter[str] = Counter()
    # Open until the end: closing it would drop the locks of the connections of this process.
    file = os.open(log.path, os.O_RDWR)
    for offset, bit in bits:
        with _flipped(file, offset, bit):
            end = _end(log)
        ends[end] += 1
        if end not in ("named", "harmless"):
            findings.append(f"byte {offset}, bit {bit}: {end}")
    os.close(file)
    return Tally(ends.total(), findings, f"{ends['named']:,} named, {ends['harmless']:,} harmless")


def written(path: str) -> Log:
    """Write a log of LOG_BYTES with jobs in every state, and return it."""
    with Queue(path, actor="anna@box") as queue:
        while _query(path, TABLE_BYTES)[0][0] < LOG_BYTES:
            _some_jobs(queue)
    pages = _query(path, PAGES)
    with open_store(path, readonly=True).read() as tx:
        events = list(tx.events())
    streams: dict[str, list[Recorded]] = {}
    for recorded in events:
        streams.setdefault(recorded.stream, []).append(recorded)
    offsets = [(page - 1) * size + n for page, size in pages for n in range(size)]
    return Log(path, offsets, events, streams)


def _query(path: str, sql: str) -> list[tuple[int, ...]]:
    connection = apsw.Connection(path)
    try:
        return connection.execute(sql).fetchall()  # type: ignore[return-value]
    finally:
        connection.close()


def _some_jobs(queue: Queue) -> None:
    for job_id in queue.enqueue_many(NewJob(command=f"echo {n}", cwd="/") for n in range(5)):
        with queue.write("w") as session:
            at_us = session.at_us
            job = session.send(Claim(job_id=job_id, worker="w", slot=1, at_us=at_us))
            assert isinstance(job, Job)
            outcome = Outcome(ended="exit", exit_code=int(job_id) % 2)
            request = Finish(job_id=job_id, attempt=1, outcome=outcome, jitter=0, at_us=at_us)
            session.send(request)


class _flipped:
    """Flips one bit of a file while the block runs."""

    def __init__(self, file: int, offset: int, bit: int) -> None:
        self._file, self._offset = file, offset
        self._was = os.pread(file, 1, offset)
        self._now = bytes([self._was[0] ^ (1 << bit)])

    def __enter__(self) -> None:
        os.pwrite(self._file, self._now, self._offset)

    def __exit__(self, *_: object) -> None:
        os.pwrite(self._file, self._was, self._offset)


def _end(log: Log) -> str:
    """Return `named` (reported or refused) or `harmless`; anything else is a finding."""
    try:
        store = open_store(log.path, readonly=True)
        try:
            return _checked(store, log)
        finally:
            store.close()
    except StoreError as error:
        return "named" if "\n" not in str(error) else f"more than one line: {error}"
    except Exception as error:  # noqa: BLE001 (a traceback is a finding)
        return f"a traceback: {error!r}"


def _checked(store: Store, log: Log) -> str:
    with store.read() as tx:
        verdict = verify(tx)
        if not verdict.sound:
            if verdict.broken is None:
                return "a trigger is blamed"
            # A reader gets a StoreError, or the stored text.
            deque(islice(tx.events(after=verdict.broken.position - 2), 3), 0)
            return "named"
        if list(tx.events()) != log.events:
            return "sound, and another event"
        for stream, events in log.streams.items():
            if list(tx.events(stream=stream)) != events:
                return f"sound, and another history of {stream}"
    return "harmless"


FLIPS = Proof(
    name="flips",
    guarantee="A bit that flips in the log is harmless or named by verify",
    unit="bits",
    in_test=100,
    in_prove=1_000,
    in_torture=10_000_000,
    run=flip,
)
