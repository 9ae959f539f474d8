"""Each refusal names the job or the worker, and its state."""

from typing import Any

import pytest

from eventstore.events.job import Cancelled, Claimed, Dead, Failed, ScheduledRetry, Succeeded
from eventstore.events.worker import WorkerStopped
from projections.folds.job import Job
from projections.folds.worker import evolve
from queuectl.core.decisions import job as job_rules
from queuectl.core.decisions import worker as worker_rules
from queuectl.core.requests import (
    Cancel,
    Claim,
    ComeDue,
    Discard,
    EndWorker,
    Finish,
    Lose,
    Outcome,
    Release,
    Retry,
    RetryDead,
    StartWorker,
)
from tests.given import enqueued, given, recorded, worker_started

CLAIMED = Claimed(attempt=1, worker="3f", slot=1)
DONE = given(enqueued(), CLAIMED, Succeeded(attempt=1))
FAILED = given(
    enqueued(),
    CLAIMED,
    Failed(attempt=1, reason="exit", exit_code=1),
    ScheduledRetry(attempt=1, retry=1, delay_us=1, due_at_us=9),
)
DEAD = given(enqueued(), CLAIMED, Dead(attempt=1, reason="retries-used-up"))
RUNNING = given(enqueued(), CLAIMED)
GONE = given(enqueued(), Cancelled())
STALE = "attempt 1 of job 1 is no longer running"


@pytest.mark.parametrize(
    ("job", "request_", "says"),
    [
        (FAILED, Claim(job_id="1", worker="a", slot=1, at_us=9), "job 1 is failed, not pending"),
        (FAILED, ComeDue(job_id="1", at_us=8), "job 1 is failed and not due"),
        (
            DONE,
            RetryDead(job_id="1"),
            "job 1 is completed, not dead - only dead jobs can be retried",
        ),
        (DONE, Retry(job_id="1"), "job 1 has already completed; only a job that waits"),
        (RUNNING, Retry(job_id="1"), "job 1 is already running; only a job that waits"),
        (GONE, Retry(job_id="1"), "job 1 was cancelled; only a job that waits"),
        (
            FAILED,
            Discard(job_id="1"),
            "job 1 is failed, not dead - only dead jobs can be discarded",
        ),
        (DONE, Cancel(job_id="1"), "job 1 has already completed"),
        (DEAD, Cancel(job_id="1"), "job 1 is already dead and cannot"),
        (DONE, Lose(job_id="1", attempt=1), STALE),
        (DONE, Release(job_id="1", attempt=1, reason="x"), STALE),
        (
            DONE,
            Finish(job_id="1", attempt=1, outcome=Outcome(ended="exit"), jitter=0.0, at_us=9),
            STALE,
        ),
    ],
)
def test_refusal_names_the_job_and_its_state(job: Job, request_: Any, says: str) -> None:
    assert str(job_rules.decide(job, request_)).startswith(says)


def test_refusal_names_the_worker_and_its_state() -> None:
    state = None
    for record in recorded((worker_started(), WorkerStopped(reason="drained")), "$worker:3f"):
        state = evolve(state, record)
    for request in (
        EndWorker(worker_id="3f", reason="drained"),
        StartWorker(worker_id="3f", started=worker_started()),
    ):
        message = str(worker_rules.decide(state, request))
        assert message.startswith("worker 3f is already stopped")
