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
from eventstore.syncing import sync
from projections.registry import TABLES
from queuectl.api import Queue
from queuectl.core.replay import replay
from queuectl.core.requests import Cancel, EndWorker, NewJob, Outcome, Retry, SetConfig, StartWorker
from queuectl.outputs.writer import Kept
from queuectl.worker.rounds import Result, Rounds
from tests.faults.storage import Disk, Operation, failing_disk
from tests.given import BEGAN_US, SECOND_US, worker_started

EVENTS = "SELECT * FROM events ORDER BY position"
VIEWS = {
    **{t.name: f"SELECT * FROM {t.name} ORDER BY {', '.join(t.key)}" for t in TABLES},
    "outputs": "SELECT * FROM outputs ORDER BY job, attempt",
    "checkpoint": "SELECT position FROM checkpoint",
}
"""All data derived from the log, or recorded with it: equal whenever the log is equal."""

SMALL_WAL = "PRAGMA wal_autocheckpoint=16"
"""In pages, so small that a worker makes several checkpoints in one life."""

STEPS = {"enqueue": 5, "round": 10, "cancel": 1, "retry": 1, "configure": 1, "reopen": 2}

Views = dict[str, list[tuple[Any, ...]]]


class Life(NamedTuple):
    """All operations on the disk, and the content of the queue after each commit."""

    path: str
    done: list[Operation]
    events: list[tuple[Any, ...]]
    """The rows of the whole log, at the end."""
    views: dict[int, Views]
    """The rows of every other table, by the last position of each commit."""


def live(folder: str, seed: str, *pragmas: str) -> Life:
    """Record a life in an empty folder. pragmas: run in every connection that writes."""
    path = os.path.join(folder, "queue.db")
    views: dict[int, Views] = {0: {}}
    with failing_disk() as disk, _recorded(disk, views, (SMALL_WAL, *pragmas)):
        events = _Body(path, Random(seed)).live()
        return Life(path, disk.done, events, views)


@contextmanager
def _recorded(disk: Disk, views: dict[int, Views], pragmas: tuple[str, ...]) -> Iterator[None]:
    """Record acknowledgements and file operations of the real code while the block runs."""
    commit, connect, link = SqliteStore._commit, opening._open, os.link

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
        stack.enter_context(patch.object(creating, "sync", synced))
        stack.enter_context(patch.object(os, "link", linked))
        yield


class _Clock:
    """A clock that advances one second per step."""

    def __init__(self) -> None:
        self.now_us = BEGAN_US

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


class _Printed:
    """The attempt of a result, of which only the output is used."""

    def __init__(self, text: bytes) -> None:
        self.kept_output = Kept(len(text), len(text), sha256(text).hexdigest(), text)


class _Body:
    """Short-lived enqueuers and one worker, in one process, step by step."""

    def __init__(self, path: str, random: Random) -> None:
        self._path, self._random, self._clock = path, random, _Clock()
        self._jobs: list[str] = []
        self._born = 0
        self._open = partial(Queue, path, actor="anna@box", clock=self._clock)

    def live(self) -> list[tuple[Any, ...]]:
        """Enqueue, work, replay, upgrade and work again. Return the rows of the log."""
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
        """Run a worker for so many steps. The last connection that closes deletes the WAL."""
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
        """Write a round: results of the last claims, and new claims."""
        done = self._rounds.write([1, 2], due=True)
        done.commit()
        for assignment in done.claimed:
            outcome = Outcome(ended="exit", exit_code=self._random.choice([0, 0, 1]))
            attempt: Any = _Printed(self._random.randbytes(self._random.choice([0, 40, 9_000])))
            self._rounds.results.append(Result(assignment.job, outcome, attempt))

    def _cancel(self) -> None:
        self._send(Cancel(job_id=self._random.choice(self._jobs)))

    def _retry(self) -> None:
        self._send(Retry(job_id=self._random.choice(self._jobs)))

    def _configure(self) -> None:
        self._send(SetConfig(key="max-retries", value=self._random.randint(0, 3)))

    def _send(self, request: Any) -> None:
        with self._open() as queue, queue.write() as session:
            session.send(request)

    def _reopen(self) -> None:
        """Close the worker's connection and start another: in between the WAL is checkpointed."""
        if self._rounds.has_unrecorded:
            self._rounds.write([], due=False).commit()
        self._queue.close()
        self._begin()

    def _make_older(self) -> None:
        """Mark the read models as those of an older version: the next writer upgrades them."""
        with self._open() as queue, queue.store.write("") as tx:
            tx.execute("UPDATE checkpoint SET definition = 'jobs=0'")
