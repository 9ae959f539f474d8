"""A small world: several workers on one queue, in simulated time, with crashes at any step.

The supervisors, rules, folds and SQL are the real ones. Simulated are the clock, the processes,
what a supervisor waits for, and its keeper. All that happens by chance is drawn from one seed.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from random import Random
from signal import SIGTERM
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

from greenlet import getcurrent
from msgspec.structs import replace

from eventstore.chain import first_break
from projections.folds.job import FINAL, Job
from projections.folds.worker import Worker
from projections.read_models import counts, jobs, runs
from projections.rebuild import Difference, compare, rebuild
from queuectl.api import Queue
from queuectl.core.requests import Cancel, Discard, NewJob, RequestStop, Retry
from queuectl.errors import IdTaken, QueueError
from queuectl.worker.process_mark import Mark
from tests.simulation.ledger import Ledger
from tests.simulation.parts import (
    SECOND_US,
    Crash,
    Process,
    SimulatedClock,
    SimulatedLauncher,
    SimulatedWorker,
)

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where a commit costs no disk."""

OFTEN = {
    "turn": 80,
    "enqueue": 6,
    "cancel": 3,
    "retry": 3,
    "discard": 1,
    "enqueue_twice": 2,
    "unlock": 1,
    "stop": 1,
    "step": 2,
    "kill": 3,
    "shut_down": 1,
    "pause": 2,
    "replay": 1,
}
"""What happens, and how often beside the rest."""

GRACE_US = 5 * SECOND_US
HEARD_US = SECOND_US
"""How long a worker that is awake may take to hear of what is asked of it: some commits."""


class World:
    """Everything there is. A seed is the whole story."""

    def __init__(self, seed: int, workers: int = 2, crash_rate: float = 0.02) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.clock = SimulatedClock()
        self.processes: dict[int, Process] = {}
        self.dead: set[str] = set()
        self.crashes = self.steps = self.commits = 0
        self._ledger, self._looked = Ledger(), 0
        self._told_to_end: dict[tuple[str, int], int] = {}
        """Attempts that a client wants to be over, by job and number: since when."""
        self._crash_rate = crash_rate
        self._pids = self._born = 0
        self._folder = mkdtemp(dir=SHARED_MEMORY)
        self.path = os.path.join(self._folder, "queue.db")
        self.queue = Queue(self.path, actor="anna@box", clock=self.clock)
        self.enqueued: list[str] = []
        self._wanted = workers
        self._workers: list[SimulatedWorker] = []
        self._main = getcurrent()

    def close(self) -> None:
        """Take it all away."""
        self.queue.close()
        shutil.rmtree(self._folder)

    # What the simulated parts ask for.

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def may_crash(self, where: str) -> None:
        """Between two steps of a supervisor: it may die here."""
        if getcurrent() is not self._main and self.chance(self._crash_rate):
            raise Crash(where)

    def another_is_first(self) -> None:
        """Between a supervisor's look at the log and its write a client may write."""
        if getcurrent() is not self._main and self.chance(0.05):
            self._cancel()

    def owned(self) -> list[Process]:
        """The processes of workers that hold their locks, or held them when they died."""
        return [one for one in self.processes.values() if not one.disowned]

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def rest(self) -> None:
        """Let the others have the processor."""
        self._main.switch()

    def committed(self) -> None:
        """Every bell rings, or is lost with a writer that died before it rang."""
        self.commits += 1
        for worker in self._workers:
            worker.bell.rung = True

    def forget(self, launcher: SimulatedLauncher) -> None:
        """Processes that were killed."""
        for pid in launcher.mine:
            self.processes.pop(pid, None)
        launcher.mine.clear()

    def end_marked(self, marks: Collection[Mark]) -> bool:
        """The sweep of a takeover: what still bears these marks dies."""
        for pid in [pid for pid, one in self.processes.items() if one.mark in marks]:
            del self.processes[pid]
        return True

    # The story.

    def run(self, steps: int = 200, jobs_at_first: int = 10) -> "World":
        """Let chance act for so many steps; then no more faults, until nothing is left to do."""
        with self._swept():
            self.enqueue(jobs_at_first)
            for _ in range(steps):
                self._something_happens()
            self._crash_rate = 0.0
            self._until_quiet()
            self._retire()
        return self

    def enqueue(self, number: int = 1) -> None:
        new = [
            NewJob(
                command="true",
                delay_us=self.random.choice([None, None, None, 3 * SECOND_US]),
                max_retries=self.random.randint(0, 2),
                timeout_us=self.random.choice([None, None, 60 * SECOND_US]),
                grace_us=GRACE_US,
            )
            for _ in range(number)
        ]
        self.enqueued += self.queue.enqueue_many(new)
        self.committed()

    def _something_happens(self) -> None:
        self.steps += 1
        while len(self._workers) < self._wanted:
            self._start_worker()
        happening: dict[str, Callable[[], None]] = {
            "turn": self._turn,
            "enqueue": self.enqueue,
            "cancel": self._cancel,
            "retry": self._retry,
            "discard": self._discard,
            "enqueue_twice": self._enqueue_twice,
            "unlock": self._unlock,
            "stop": self._stop,
            "step": self._step,
            "kill": self._kill,
            "shut_down": self._shut_down,
            "pause": self._pause,
            "replay": self._replay,
        }
        (what,) = self.random.choices(list(OFTEN), list(OFTEN.values()))
        happening[what]()
        self._look()

    def _heard_in_time(self) -> None:
        """What a client wants to be over is: after its grace at the latest, where its worker is
        awake and there."""
        for worker in self._workers:
            for one in worker.launcher.mine.values():
                told_us = self._told_to_end.get((one.job_id, one.attempt))
                if told_us is None or one.disowned or worker.done:
                    continue
                until_us = max(told_us, worker.paused_until_us) + HEARD_US + GRACE_US
                assert self.clock.now_us <= until_us, f"job {one.job_id} was told to end, and runs"

    def _look(self) -> bool:
        """Every invariant that can be held against what is new. Returns whether anything was."""
        if self._looked == self.commits:
            return False
        self._looked = self.commits
        with self.queue.read() as tx:
            self._ledger.look(tx)
        return True

    def _start_worker(self) -> None:
        self._born += 1
        self._workers.append(SimulatedWorker(self, self._born))

    def _turn(self) -> None:
        """A supervisor that has something to do goes on to its next wait; else time passes."""
        able = [worker for worker in self._workers if worker.ready()]
        if not able:
            self.clock.now_us = min(worker.next_us() for worker in self._workers)
            return
        worker = self.random.choice(able)
        worker.body.switch()
        if worker.done:
            self._workers.remove(worker)
        self._heard_in_time()

    def _cancel(self) -> None:
        job = self._ask(Cancel(job_id=self.random.choice(self.enqueued)))
        if isinstance(job, Job) and job.cancel_requested:
            self._told_to_end.setdefault((job.id, job.attempt), self.clock.now_us)

    def _stop(self) -> None:
        """A client asks a worker to end what it runs, and to leave."""
        worker = self.random.choice(self._workers)
        asked = RequestStop(worker_id=worker.worker_id, how="now", reason="enough")
        if isinstance(self._ask(asked), QueueError):
            return  # it has not begun, or has ended
        for one in worker.launcher.mine.values():
            self._told_to_end.setdefault((one.job_id, one.attempt), self.clock.now_us)

    def _retry(self) -> None:
        self._ask(Retry(job_id=self.random.choice(self.enqueued)))

    def _discard(self) -> None:
        self._ask(Discard(job_id=self.random.choice(self.enqueued), reason="no more"))

    def _enqueue_twice(self) -> None:
        """A client that brings its own id dies, before its commit or after it, and asks again."""
        new = NewJob(command="true", id=f"c{self.steps}", max_retries=1, grace_us=GRACE_US)
        with suppress(Crash), self.queue.write() as session:
            session.enqueue(new)
            if self.chance(0.5):
                raise Crash
        with self.queue.write() as session:
            job = session.enqueue(new)
            other = session.enqueue(replace(new, command="false"))
        assert isinstance(job, Job), job
        assert isinstance(other, IdTaken), other
        self.enqueued.append(job.id)
        self.committed()

    def _unlock(self) -> None:
        """No lock holds any more: a worker is taken for dead, and comes back with results."""
        worker = self.random.choice(self._workers)
        worker.launcher.disown()
        worker.unlock()

    def _ask(self, asked: Any) -> Job | Worker | QueueError:
        with self.queue.write() as session:
            answer: Job | Worker | QueueError = session.send(asked)
        assert isinstance(answer, Job | Worker | QueueError)
        self.committed()
        return answer

    def _step(self) -> None:
        """The wall clock steps, back or forward."""
        self.clock.stepped_us += self.random.randint(-3600, 3600) * SECOND_US

    def _kill(self) -> None:
        """A signal to stop, or the end of a keeper."""
        worker = self.random.choice(self._workers)
        if self.chance(0.5):
            worker.signals += 1
        else:
            worker.keeper_dead = True

    def _shut_down(self) -> None:
        """TERM comes to a worker and to its jobs at once."""
        worker = self.random.choice(self._workers)
        worker.signals += 1
        for process in worker.launcher.mine.values():
            if not process.deaf:
                process.ends_at_us = min(process.ends_at_us, self.clock.now_us)
                process.signal = process.signal or int(SIGTERM)

    def _pause(self) -> None:
        """A supervisor sleeps for a while, as by SIGSTOP; its jobs go on."""
        lasts_us = self.random.choice([1_000, 30_000, 5 * SECOND_US, 100 * SECOND_US])
        self.random.choice(self._workers).paused_until_us = self.clock.now_us + lasts_us

    def _replay(self) -> None:
        assert self.differences() == []  # which a replay would heal
        rebuild(self.queue.store)

    def _until_quiet(self) -> None:
        self.commits += 1
        for _ in range(20_000):
            if self._look() and self._quiet():
                return
            if not self._workers:
                self._start_worker()
            self._turn()
        raise AssertionError(f"seed {self.seed}: jobs are stuck: {self._open()}")

    def _retire(self) -> None:
        """Workers that still live are asked to leave; then every lock is free."""
        for worker in self._workers:
            worker.signals = 1
        while self._workers:
            self._turn()

    def _quiet(self) -> bool:
        with self.queue.read() as tx:
            states = counts.total(tx).states
        return not any(states[state] for state in states if state not in FINAL)

    def _open(self) -> list[tuple[str, str]]:
        with self.queue.read() as tx:
            found = jobs.page(tx, jobs.Filter(), limit=10_000)
        return [(job.id, job.state) for job in found if job.state not in FINAL]

    @contextmanager
    def _swept(self) -> Iterator[None]:
        """Takeovers sweep this world, not the machine's."""

        class Sweep:
            started = staticmethod(lambda pid: 0)
            kill_all = staticmethod(self.end_marked)
            stopped = alive = staticmethod(lambda pid: False)

        with patch("queuectl.worker.takeover.process_sweep", Sweep):
            yield

    # What must hold.

    def differences(self) -> list[Difference]:
        """Of the live read models from a rebuild."""
        return compare(self.queue.store)

    def check(self) -> None:
        """Every invariant that the log can tell of."""
        assert not self.owned(), f"seed {self.seed}: still running: {self.processes}"
        assert self.differences() == []
        with self.queue.read() as tx:
            assert first_break(tx.raw()) is None
            found = {job.id: job for job in jobs.page(tx, jobs.Filter(), limit=10_000)}
            assert set(found) == set(self.enqueued), "an acknowledged job is not there"
            for job in found.values():
                self._check_job(job, runs.of_job(tx, job.born))

    def _check_job(self, job: Job, attempts: list[runs.Run]) -> None:
        story = [(one.attempt, one.outcome, one.reason) for one in attempts]
        told = f"seed {self.seed}, job {job.id}: {story}"
        assert job.state in FINAL, told
        assert [one.attempt for one in attempts] == list(range(1, len(attempts) + 1)), told
        assert all(one.outcome for one in attempts), told
        succeeded = [one for one in attempts if one.outcome == "succeeded"]
        assert len(succeeded) == (job.state == "completed"), told
        counted = [
            one
            for one in attempts
            if one.outcome == "failed" and one.reason not in ("worker-lost", "worker-stopped")
        ]
        assert len(counted) <= (job.spec.max_retries + 1) * job.round, told


def story(seed: int, **how: Any) -> World:
    """The world of this seed, when all is over and checked."""
    world = World(seed, **how)
    try:
        world.run()
        world.check()
    finally:
        world.close()
    return world
