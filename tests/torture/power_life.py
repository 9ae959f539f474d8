"""The life of a queue, recorded write by write: enqueuers, a worker, replays, upgrades."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

import apsw

from eventstore.sqlite import creating, opening
from eventstore.sqlite.busy_wait import Patience
from eventstore.sqlite.log import SqliteStore
from projections.registry import READ_MODELS
from queuectl.api import Queue
from queuectl.core.replay import replay
from queuectl.core.requests import Cancel, EndWorker, NewJob, Outcome, Retry, SetConfig, StartWorker
from queuectl.outputs.writer import Kept
from queuectl.worker.rounds import Result, Rounds
from tests.faults.storage import Disk, Operation, failing_disk
from tests.given import BEGAN_US, SECOND_US, worker_started

EVENTS = "SELECT * FROM events ORDER BY position"
VIEWS = {
    **{m.table: f"SELECT * FROM {m.table} ORDER BY {m.key}" for m in READ_MODELS if m.table},
    "outputs": "SELECT * FROM outputs ORDER BY job, attempt",
    "checkpoint": "SELECT position FROM checkpoint",
}
"""All that is derived from the log, or recorded with it: the same whenever the log is the same."""

SMALL_WAL = "PRAGMA wal_autocheckpoint=16"
"""In pages: so that one life has several checkpoints, by a worker in the midst of its work."""

STEPS = {"enqueue": 5, "round": 10, "cancel": 1, "retry": 1, "configure": 1, "reopen": 2}

Views = dict[str, list[tuple[Any, ...]]]


class Life(NamedTuple):
    """All that was done to the disk, and what the queue held meanwhile."""

    path: str
    done: list[Operation]
    events: list[tuple[Any, ...]]
    """The rows of the whole log, at the end."""
    views: dict[int, Views]
    """The rows of every other table, by the last position of each commit."""


def live(folder: str, seed: str, *pragmas: str) -> Life:
    """Record a life in an empty folder. pragmas: planted in every connection that writes."""
    path = os.path.join(folder, "queue.db")
    views: dict[int, Views] = {0: {}}
    with failing_disk() as disk, _recorded(disk, views, (SMALL_WAL, *pragmas)):
        events = _Body(path, Random(seed)).live()
        return Life(path, disk.done, events, views)


@contextmanager
def _recorded(disk: Disk, views: dict[int, Views], pragmas: tuple[str, ...]) -> Iterator[None]:
    """The real code, with its acknowledgements and its file operations written down."""
    commit, connect, link, sync = SqliteStore._commit, opening._open, os.link, creating._sync

    def acknowledged(store: SqliteStore, transaction: Any) -> None:
        commit(store, transaction)
        if transaction.appended:
            position = transaction.last[0]
            disk.done.append(Operation("acknowledge", store.path, position))
            with store.read() as tx:
                views[position] = {name: tx.query(sql) for name, sql in VIEWS.items()}

    def connected(path: str, patience: Patience) -> apsw.Connection:
        connection = connect(path, patience)
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    def linked(source: str, target: str) -> None:
        link(source, target)
        disk.done.append(Operation("link", source, 0, target.encode()))

    def synced(path: str, flags: int) -> None:
        sync(path, flags)
        folder = flags & os.O_DIRECTORY
        disk.done.append(Operation("sync-folder" if folder else "sync", path))

    with ExitStack() as stack:
        stack.enter_context(patch.object(SqliteStore, "_commit", acknowledged))
        stack.enter_context(patch.object(opening, "_open", connected))
        stack.enter_context(patch.object(creating, "_sync", synced))
        stack.enter_context(patch.object(os, "link", linked))
        yield


class _Clock:
    """A second a step."""

    def __init__(self) -> None:
        self.now_us = BEGAN_US

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


class _Ran:
    """What a result tells of its attempt: what it printed."""

    def __init__(self, text: bytes) -> None:
        self.printed = Kept(len(text), len(text), sha256(text).hexdigest(), text)


class _Body:
    """Enqueuers that come and go, and one worker, in one process, one step after the other."""

    def __init__(self, path: str, random: Random) -> None:
        self._path, self._random, self._clock = path, random, _Clock()
        self._jobs: list[str] = []
        self._born = 0
        self._open = partial(Queue, path, actor="anna@box", clock=self._clock)

    def live(self) -> list[tuple[Any, ...]]:
        """Empty, with a worker, replayed, upgraded, and gone on with. Returns the log."""
        self._enqueue()
        for _ in range(2):
            self._work(steps=14)
        with self._open() as queue:
            replay(queue.store)
        self._make_older()
        self._work(steps=4)
        with self._open() as queue, queue.store.read() as tx:
            return tx.query(EVENTS)

    def _work(self, steps: int) -> None:
        """A worker's life. Others come and go; where one is the last it takes the WAL away."""
        self._begin()
        steps_of = {name: getattr(self, f"_{name}") for name in STEPS}
        for name in self._random.choices(list(STEPS), list(STEPS.values()), k=steps):
            self._clock.now_us += SECOND_US
            steps_of[name]()
        self._queue.send(EndWorker(worker_id=self._worker, reason="drained"))
        self._queue.close()

    def _begin(self) -> None:
        self._queue = self._open()
        self._born += 1
        self._worker = f"w{self._born}"
        self._queue.send(StartWorker(worker_id=self._worker, started=worker_started(self._worker)))
        self._rounds = Rounds(self._queue, self._worker, (), self._random.random)

    def _enqueue(self) -> None:
        number = self._random.choice([1, 1, 1, 5])
        with self._open() as queue:
            self._jobs += queue.enqueue_many(
                NewJob(command="x" * self._random.choice([4, 4, 900]), max_retries=1)
                for _ in range(number)
            )

    def _round(self) -> None:
        """The results of what was claimed in the last round, and claims for the next."""
        done = self._rounds.write([1, 2], due=True)
        done.commit()
        for one in done.claimed:
            outcome = Outcome(ended="exit", exit_code=self._random.choice([0, 0, 1]))
            ran: Any = _Ran(self._random.randbytes(self._random.choice([0, 40, 9_000])))
            self._rounds.results.append(Result(one.job, outcome, ran))

    def _cancel(self) -> None:
        self._ask(Cancel(job_id=self._random.choice(self._jobs)))

    def _retry(self) -> None:
        self._ask(Retry(job_id=self._random.choice(self._jobs)))

    def _configure(self) -> None:
        self._ask(SetConfig(key="max-retries", value=self._random.randint(0, 3)))

    def _ask(self, asked: Any) -> None:
        with self._open() as queue, queue.write() as session:
            session.send(asked)

    def _reopen(self) -> None:
        """The worker leaves and another begins: between them the WAL is carried over and goes."""
        if self._rounds.waits:
            self._rounds.write([], due=False).commit()
        self._queue.close()
        self._begin()

    def _make_older(self) -> None:
        """As a version left it whose read models were others: the next writer upgrades it."""
        with self._open() as queue, queue.store.write("", 0) as tx:
            tx.execute("UPDATE checkpoint SET definition = 'jobs=0'")
