"""Replay equals live, and the rules hold, after every step of any sequence of commands."""

import os
import shutil
from tempfile import mkdtemp
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from eventstore.chain import first_break
from projections.folds.job import FINAL, Job
from projections.read_models import counts, jobs, ready, runs, timers, workers
from projections.rebuild import compare
from queuectl.api import Queue
from queuectl.core.replay import replay
from queuectl.core.requests import (
    Cancel,
    Claim,
    ComeDue,
    Discard,
    EndWorker,
    Finish,
    JobRequest,
    Lose,
    LoseWorker,
    NewJob,
    Outcome,
    Rearm,
    Release,
    RequestStop,
    Retry,
    RetryDead,
    SetConfig,
    StartWorker,
)
from queuectl.errors import QueueError
from tests.given import worker_started
from tests.torture.proof import PROVE

START_US = 1_700_000_000_000_000
QUEUES = ("default", "encodes")
JOB_IDS = st.integers(1, 6).map(str) | st.just("mine")


class StillClock:
    """A clock that the test moves, also back."""

    def __init__(self) -> None:
        self.now_us = START_US

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


class AnyCommands(RuleBasedStateMachine):
    """Any command, at any time, of any job, worker and setting."""

    attempts: Bundle[tuple[str, int]] = Bundle("attempts")

    @initialize()
    def open(self) -> None:
        self.folder = mkdtemp()
        self.clock = StillClock()
        self.queue = Queue(
            os.path.join(self.folder, "queue.db"), actor="anna@box", clock=self.clock
        )
        self.workers = 0

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder)

    def ask(self, *requests: Any) -> list[Any]:
        with self.queue.write() as session:
            return [session.send(request) for request in requests]

    @rule(
        new=st.builds(
            NewJob,
            command=st.just("true"),
            id=st.none() | st.just("mine"),
            queue=st.sampled_from(QUEUES),
            priority=st.integers(-1, 1),
            tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
            delay_us=st.none() | st.integers(0, 5_000_000),
            max_retries=st.none() | st.integers(0, 2),
            jitter=st.none() | st.sampled_from([0.0, 0.5]),
        ),
        times=st.integers(1, 3),
    )
    def enqueue(self, new: NewJob, times: int) -> None:
        with self.queue.write() as session:
            for _ in range(times):
                session.enqueue(new)

    @rule(target=attempts, worker=st.sampled_from("ab"), limit=st.integers(1, 3))
    def claim(self, worker: str, limit: int) -> Any:
        with self.queue.write(f"worker:{worker}") as session:
            rows = ready.next_ready(session.tx, (), limit)
            claimed = [
                session.send(Claim(job_id=row.id, worker=worker, slot=1, at_us=session.at_us))
                for row in rows
            ]
        assert all(isinstance(job, Job) for job in claimed)
        return multiple(*((job.id, job.attempt) for job in claimed if isinstance(job, Job)))

    @rule(
        attempt=consumes(attempts),
        ended=st.sampled_from(["exit", "exit", "signal", "timeout", "cancelled", "worker-stopped"]),
        code=st.integers(0, 1),
        again=st.booleans(),
    )
    def finish(self, attempt: tuple[str, int], ended: Any, code: int, again: bool) -> None:
        outcome = Outcome(ended=ended, exit_code=code)
        request = Finish(
            job_id=attempt[0],
            attempt=attempt[1],
            outcome=outcome,
            jitter=0.25,
            at_us=self.clock.now_us,
        )
        self.ask(*[request] * (1 + again))

    @rule(attempt=consumes(attempts), how=st.sampled_from(["lose", "release"]))
    def give_up(self, attempt: tuple[str, int], how: Literal["lose", "release"]) -> None:
        job_id, number = attempt
        request: JobRequest = Lose(job_id=job_id, attempt=number)
        if how == "release":
            request = Release(job_id=job_id, attempt=number, reason="stopping")
        self.ask(request)

    @rule(by_us=st.integers(-2_000_000, 10_000_000))
    def move_the_clock(self, by_us: int) -> None:
        self.clock.now_us += by_us

    @rule()
    def fire_timers(self) -> None:
        with self.queue.write("worker:a") as session:
            for job_id in timers.due(session.tx, session.at_us, 1_000):
                session.send(ComeDue(job_id=job_id, at_us=session.at_us))
            for job_id in timers.begun_after(session.tx, session.at_us, 1_000):
                session.send(Rearm(job_id=job_id, at_us=session.at_us))

    @rule(job_id=JOB_IDS, reason=st.none() | st.text(max_size=3))
    def retry(self, job_id: str, reason: str | None) -> None:
        self.ask(Retry(job_id=job_id, reason=reason))

    @rule(job_id=JOB_IDS)
    def retry_dead(self, job_id: str) -> None:
        self.ask(RetryDead(job_id=job_id))

    @rule(job_id=JOB_IDS)
    def discard(self, job_id: str) -> None:
        self.ask(Discard(job_id=job_id))

    @rule(job_id=JOB_IDS)
    def cancel(self, job_id: str) -> None:
        self.ask(Cancel(job_id=job_id))

    @rule(key=st.sampled_from(["max-retries", "timeout"]), value=st.none() | st.integers(0, 9))
    def configure(self, key: str, value: int | None) -> None:
        self.ask(SetConfig(key=key, value=value))

    @rule()
    def start_worker(self) -> None:
        self.workers += 1
        self.ask(StartWorker(worker_id=f"w{self.workers}", started=worker_started()))

    @rule(number=st.integers(1, 3), how=st.sampled_from(["drain", "now", "end", "lose"]))
    def end_worker(self, number: int, how: Any) -> None:
        worker_id = f"w{number}"
        if how == "end":
            self.ask(EndWorker(worker_id=worker_id, reason="drained"))
        elif how == "lose":
            self.ask(LoseWorker(worker_id=worker_id, found_by="a"))
        else:
            self.ask(RequestStop(worker_id=worker_id, how=how))

    @rule()
    def rebuild(self) -> None:
        replay(self.queue.store)

    @rule(new=st.just(NewJob(command="true", id="mine", queue="other")))
    def refuse(self, new: NewJob) -> None:
        """A refusal leaves no trace."""
        before = self.queue.store.head()
        with self.queue.write() as session:
            refused = isinstance(session.enqueue(new), QueueError)
        assert not refused or self.queue.store.head() == before

    @invariant()
    def replay_equals_live(self) -> None:
        assert compare(self.queue.store) == []

    @invariant()
    def chain_holds_without_gaps(self) -> None:
        with self.queue.read() as tx:
            assert first_break(tx.raw()) is None

    @invariant()
    def read_models_agree(self) -> None:
        with self.queue.read() as tx:
            rows = jobs.page(tx, jobs.Filter(), limit=1_000)
            for state, number in counts.total(tx).states.items():
                assert number == sum(job.state == state for job in rows), state
            pending = {job.id: job for job in rows if job.state == "pending"}
            assert {job.id: job for job in ready.next_ready(tx, (), 1_000)} == pending
            due = [job.due_at_us for job in rows if job.due_at_us is not None]
            assert timers.earliest(tx) == min(due, default=None)
            assert all((job.worker is not None) == (job.state == "processing") for job in rows)
            for job in rows:
                self.attempts_are_bounded(job, runs.of_job(tx, job.born))
            assert len(workers.newest(tx, 1_000)) == self.workers

    @staticmethod
    def attempts_are_bounded(job: Job, attempts: list[runs.Run]) -> None:
        assert [run.attempt for run in attempts] == list(range(1, job.attempt + 1))
        running = [run for run in attempts if run.outcome is None]
        assert len(running) == (job.state == "processing")
        counted = [run for run in attempts if run.reason not in (None, "worker-stopped")]
        lost = [run for run in counted if run.reason == "worker-lost"]
        if job.round == 1:
            assert len(counted) - len(lost) <= job.spec.max_retries + 1
        if job.state in FINAL:
            assert not running


TestAnyCommands = AnyCommands.TestCase
TestAnyCommands.pytestmark = [pytest.mark.sampled]  # type: ignore[attr-defined]
EXAMPLES = 60 if os.environ.get(PROVE) else 8
TestAnyCommands.settings = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None)
