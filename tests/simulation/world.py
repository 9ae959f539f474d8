"""A small world: several workers on one queue, in simulated time, with crashes at any step.

The supervisors, rules, folds and SQL are the real ones. Simulated are the clock, the processes,
the selector of a supervisor, and its keeper. Every random choice is drawn from one seed.
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
from eventstore.errors import Away
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
from tests.unsynced import unsynced

SHARED_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""A folder in memory, where a commit does not wait for a disk."""

FREQUENCIES = {
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
"""What may happen, with its relative frequency."""

GRACE_US = 5 * SECOND_US
HEARD_US = SECOND_US
"""How long a running worker may take to notice a request: some commits."""


class World:
    """The queue, its workers and their processes. The seed determines all that happens."""

    def __init__(
        self, seed: int, workers: int = 2, crash_rate: float = 0.02, *, on_server: bool = False
    ) -> None:
        """on_server: workers behave as with a server, which may be away for a while."""
        self.seed, self.on_server = seed, on_server
        self._away_from_us = self._away_until_us = self._was_away_us = 0
        """The last outage, and how long all before it lasted together."""
        self.random = Random(seed)
        self.clock = SimulatedClock()
        self.processes: dict[int, Process] = {}
        self.dead: set[str] = set()
        self.crashes = self.steps = self.commits = 0
        self._ledger, self._checked = Ledger(), 0
        self._end_requested_us: dict[tuple[str, int], int] = {}
        """The time at which a client requested the end of an attempt, by job and number."""
        self._crash_rate = crash_rate
        self._pids = self._born = 0
        self._folder = mkdtemp(dir=SHARED_MEMORY)
        self.path = os.path.join(self._folder, "queue.db")
        self.queue = unsynced(Queue(self.path, actor="anna@box", clock=self.clock))
        self.enqueued: list[str] = []
        self._wanted = workers
        self._workers: list[SimulatedWorker] = []
        self._main = getcurrent()

    def close(self) -> None:
        """Close the queue and remove its folder."""
        self.queue.close()
        shutil.rmtree(self._folder)

    # Called by the simulated parts.

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def may_crash(self, where: str) -> None:
        """Perhaps raise Crash, between two steps of a supervisor."""
        if getcurrent() is not self._main and self.chance(self._crash_rate):
            raise Crash(where)

    def is_away(self) -> bool:
        """Return whether the server does not answer workers now."""
        return self.clock.now_us < self._away_until_us

    def refuse_if_away(self) -> None:
        """Raise Away if a supervisor uses the queue while the server is away."""
        if getcurrent() is not self._main and self.is_away():
            raise Away("queue", "none")

    def may_go_away(self) -> None:
        """Perhaps let the server go away just before a commit of a supervisor, and raise Away."""
        if self.on_server and self._crash_rate and self.chance(0.2):
            self._go_away()
        self.refuse_if_away()

    def answered_us(self) -> int:
        """Return for how long the server has answered so far."""
        last_us = min(self.clock.now_us, self._away_until_us) - self._away_from_us
        return self.clock.now_us - self._was_away_us - last_us

    def let_a_client_write(self) -> None:
        """Perhaps write as a client, between a supervisor's read of the log and its write."""
        if getcurrent() is not self._main and self.chance(0.05):
            self._cancel()

    def owned(self) -> list[Process]:
        """Return the processes of workers that hold their locks, or held them when they died."""
        return [process for process in self.processes.values() if not process.disowned]

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def rest(self) -> None:
        """Switch to the story, which lets other workers run."""
        self._main.switch()

    def committed(self) -> None:
        """Count a commit and ring every bell."""
        self.commits += 1
        for worker in self._workers:
            worker.bell.rung = True

    def forget(self, launcher: SimulatedLauncher) -> None:
        """Remove the processes of a launcher, which were killed."""
        for pid in launcher.mine:
            self.processes.pop(pid, None)
        launcher.mine.clear()

    def end_marked(self, marks: Collection[Mark]) -> bool:
        """Kill the processes with these marks, as the sweep of a takeover does."""
        for pid in [pid for pid, process in self.processes.items() if process.mark in marks]:
            del self.processes[pid]
        return True

    # The story.

    def run(self, steps: int = 200, jobs_at_first: int = 10) -> "World":
        """Run so many random steps; then, without faults, run until all jobs have ended."""
        with self._swept():
            self.enqueue(jobs_at_first)
            for _ in range(steps):
                self._something_happens()
            self._crash_rate = 0.0
            self._away_until_us = min(self._away_until_us, self.clock.now_us)
            self._run_until_quiet()
            self._stop_workers()
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
            "go_away": self._go_away,
        }
        frequencies = {**FREQUENCIES, **({"go_away": 3} if self.on_server else {})}
        (name,) = self.random.choices(list(frequencies), list(frequencies.values()))
        happening[name]()
        self._check_new()

    def _check_ends_in_time(self) -> None:
        """Check that attempts end, at most their grace after a client requested it.

        Only for workers that are running and have their locks.
        """
        for worker in self._workers:
            for process in worker.launcher.mine.values():
                requested_us = self._end_requested_us.get((process.job_id, process.attempt))
                if requested_us is None or process.disowned or worker.done:
                    continue
                held_us = max(worker.paused_until_us, self._heard_again_us)
                until_us = max(requested_us, held_us) + HEARD_US + GRACE_US
                assert self.clock.now_us <= until_us, f"job {process.job_id} should have ended"

    def _check_new(self) -> bool:
        """Check every invariant on the new events; return whether there were any."""
        if self._checked == self.commits:
            return False
        self._checked = self.commits
        with self.queue.read() as tx:
            self._ledger.check_new(tx)
        return True

    def _start_worker(self) -> None:
        self._born += 1
        self._workers.append(SimulatedWorker(self, self._born))

    def _turn(self) -> None:
        """Run one supervisor with an event up to its next wait; if there is none, time passes."""
        able = [worker for worker in self._workers if worker.ready()]
        if not able:
            self.clock.now_us = min(worker.next_us() for worker in self._workers)
            return
        worker = self.random.choice(able)
        worker.body.switch()
        if worker.done:
            self._workers.remove(worker)
        self._check_ends_in_time()

    def _cancel(self) -> None:
        job = self._send(Cancel(job_id=self.random.choice(self.enqueued)))
        if isinstance(job, Job) and job.cancel_requested:
            self._end_requested_us.setdefault((job.id, job.attempt), self.clock.now_us)

    def _stop(self) -> None:
        """Request, as a client, that a worker ends its jobs and stops."""
        worker = self.random.choice(self._workers)
        request = RequestStop(worker_id=worker.worker_id, how="now", reason="enough")
        if isinstance(self._send(request), QueueError):
            return  # the worker has not started yet, or has ended
        for process in worker.launcher.mine.values():
            self._end_requested_us.setdefault((process.job_id, process.attempt), self.clock.now_us)

    def _retry(self) -> None:
        self._send(Retry(job_id=self.random.choice(self.enqueued)))

    def _discard(self) -> None:
        self._send(Discard(job_id=self.random.choice(self.enqueued), reason="no more"))

    def _enqueue_twice(self) -> None:
        """Enqueue with an id of the client, which dies before or after its commit and retries."""
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
        """Release the locks of a worker: others take it for dead, but it goes on with results."""
        worker = self.random.choice(self._workers)
        worker.launcher.disown()
        worker.unlock()

    def _send(self, request: Any) -> Job | Worker | QueueError:
        with self.queue.write() as session:
            answer: Job | Worker | QueueError = session.send(request)
        assert isinstance(answer, Job | Worker | QueueError)
        self.committed()
        return answer

    def _step(self) -> None:
        """Step the wall clock, back or forward."""
        self.clock.stepped_us += self.random.randint(-3600, 3600) * SECOND_US

    def _kill(self) -> None:
        """Send a worker a stop signal, or kill its keeper."""
        worker = self.random.choice(self._workers)
        if self.chance(0.5):
            worker.signals += 1
        else:
            worker.keeper_dead = True

    def _shut_down(self) -> None:
        """Send TERM to a worker and its jobs at once, as a shutdown does."""
        worker = self.random.choice(self._workers)
        worker.signals += 1
        for process in worker.launcher.mine.values():
            if not process.deaf:
                process.ends_at_us = min(process.ends_at_us, self.clock.now_us)
                process.signal = process.signal or int(SIGTERM)

    def _pause(self) -> None:
        """Stop a supervisor for a while, as by SIGSTOP; its jobs run on."""
        lasts_us = self.random.choice([1_000, 30_000, 5 * SECOND_US, 100 * SECOND_US])
        self.random.choice(self._workers).paused_until_us = self.clock.now_us + lasts_us

    def _go_away(self) -> None:
        """Let the server be away for a while; a worker tries it again a second after it is back."""
        if not self.is_away():
            self._was_away_us += self._away_until_us - self._away_from_us
            self._away_from_us = self.clock.now_us
            lasts_us = self.random.choice([1_000, 500_000, 5 * SECOND_US, 30 * SECOND_US])
            self._away_until_us = self.clock.now_us + lasts_us

    @property
    def _heard_again_us(self) -> int:
        """When all workers have noticed that the server is back; 0 if it was never away."""
        return self._away_until_us + 2 * SECOND_US if self._away_until_us else 0

    def _replay(self) -> None:
        assert self.differences() == []  # a replay would repair them
        rebuild(self.queue.store)

    def _run_until_quiet(self) -> None:
        self.commits += 1
        for _ in range(20_000):
            if self._check_new() and self._quiet():
                return
            if not self._workers:
                self._start_worker()
            self._turn()
        raise AssertionError(f"seed {self.seed}: jobs are stuck: {self._open()}")

    def _stop_workers(self) -> None:
        """Stop the remaining workers; after that every lock is free."""
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
            page = jobs.page(tx, jobs.Filter(), limit=10_000)
        return [(job.id, job.state) for job in page if job.state not in FINAL]

    @contextmanager
    def _swept(self) -> Iterator[None]:
        """Let takeovers search the simulated processes, not those of the machine."""

        class Sweep:
            started = staticmethod(lambda pid: 0)
            kill_all = staticmethod(self.end_marked)
            stopped = alive = staticmethod(lambda pid: False)

        with (
            patch("queuectl.worker.takeover.process_sweep", Sweep),
            patch("queuectl.worker.liveness.process_sweep", Sweep),
        ):
            yield

    # The invariants.

    def differences(self) -> list[Difference]:
        """Return the differences between the live read models and a rebuild."""
        return compare(self.queue.store)

    def check(self) -> None:
        """Check every invariant that can be read from the log."""
        assert not self.owned(), f"seed {self.seed}: still running: {self.processes}"
        assert self.differences() == []
        with self.queue.read() as tx:
            assert first_break(tx.raw()) is None
            existing = {job.id: job for job in jobs.page(tx, jobs.Filter(), limit=10_000)}
            assert set(existing) == set(self.enqueued), "an acknowledged job is missing"
            for job in existing.values():
                self._check_job(job, runs.of_job(tx, job.born))

    def _check_job(self, job: Job, attempts: list[runs.Run]) -> None:
        story = [(run.attempt, run.outcome, run.reason) for run in attempts]
        message = f"seed {self.seed}, job {job.id}: {story}"
        assert job.state in FINAL, message
        assert [run.attempt for run in attempts] == list(range(1, len(attempts) + 1)), message
        assert all(run.outcome for run in attempts), message
        succeeded = [run for run in attempts if run.outcome == "succeeded"]
        assert len(succeeded) == (job.state == "completed"), message
        counted = [
            run
            for run in attempts
            if run.outcome == "failed" and run.reason not in ("worker-lost", "worker-stopped")
        ]
        assert len(counted) <= (job.spec.max_retries + 1) * job.round, message


def story(seed: int, **options: Any) -> World:
    """Run the world of this seed to its end, check it and return it."""
    world = World(seed, **options)
    try:
        world.run()
        world.check()
    finally:
        world.close()
    return world
