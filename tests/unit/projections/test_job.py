"""A job's states and the way between them."""

import pytest

from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Failed,
    FellDue,
    Released,
    Requeued,
    ScheduledRetry,
    Succeeded,
)
from tests.given import BEGAN_US, SECOND_US, enqueued, given

CLAIMED = Claimed(attempt=1, worker="3f", slot=1)
FAILED = Failed(attempt=1, reason="exit", exit_code=2)
RETRY = ScheduledRetry(attempt=1, retry=1, delay_us=2 * SECOND_US, due_at_us=BEGAN_US + 9)
LOST = Failed(attempt=1, reason="worker-lost", counted=False)


def test_new_job_is_pending() -> None:
    job = given(enqueued())
    assert (job.state, job.attempt, job.born, job.enqueued_at_us) == ("pending", 0, 1, BEGAN_US)


def test_delayed_job_is_scheduled_until_it_falls_due() -> None:
    later = enqueued(due_at_us=BEGAN_US + 5)
    assert (given(later).state, given(later).due_at_us) == ("scheduled", BEGAN_US + 5)
    due = given(later, FellDue())
    assert (due.state, due.due_at_us, due.changed_at_us) == ("pending", None, BEGAN_US + SECOND_US)


def test_claimed_job_is_processing_and_its_workers() -> None:
    job = given(enqueued(), CLAIMED)
    assert (job.state, job.attempt, job.worker) == ("processing", 1, "3f")


def test_released_job_is_pending_and_its_attempt_number_used() -> None:
    job = given(enqueued(), CLAIMED, Released(attempt=1, reason="stopping"))
    assert (job.state, job.attempt, job.attempts, job.worker) == ("pending", 1, 0, None)


def test_succeeded_job_is_completed() -> None:
    job = given(enqueued(), CLAIMED, Succeeded(attempt=1))
    assert (job.state, job.exit_code, job.succeeded_runs, job.worker) == ("completed", 0, 1, None)


def test_failed_job_with_a_retry_is_failed_and_due() -> None:
    job = given(enqueued(), CLAIMED, FAILED, RETRY)
    assert (job.state, job.due_at_us, job.retries_used) == ("failed", BEGAN_US + 9, 1)
    assert (job.failure, job.exit_code, job.failed_runs) == ("exit", 2, 1)


def test_retry_that_came_due_is_pending() -> None:
    job = given(enqueued(), CLAIMED, FAILED, RETRY, Requeued(why="retry-due"))
    assert (job.state, job.due_at_us, job.retries_used, job.round) == ("pending", None, 1, 1)


def test_dead_job_taken_from_the_dlq_opens_a_new_round() -> None:
    dead = (enqueued(), CLAIMED, FAILED, Dead(attempt=1, reason="retries-used-up"))
    assert given(*dead).state == "dead"
    job = given(*dead, Requeued(why="dlq"))
    assert (job.state, job.round, job.retries_used, job.attempt) == ("pending", 2, 0, 1)


def test_lost_attempts_are_counted_in_a_row() -> None:
    lost = (LOST, Requeued(why="worker-lost"))
    job = given(enqueued(), CLAIMED, *lost, CLAIMED, *lost)
    assert (job.state, job.lost_in_row, job.failed_runs) == ("pending", 2, 0)
    assert given(enqueued(), CLAIMED, *lost, CLAIMED, FAILED, RETRY).lost_in_row == 0


def test_cancel_of_a_running_job_waits_for_its_worker() -> None:
    asked = (enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert (given(*asked).state, given(*asked).cancel_requested) == ("processing", True)
    job = given(*asked, Cancelled(attempt=1, signal=15))
    assert (job.state, job.cancel_requested, job.signal) == ("cancelled", False, 15)


def test_every_event_moves_version_and_position() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert (job.version, job.position) == (3, 3)


def test_job_is_enqueued_once() -> None:
    with pytest.raises(AssertionError, match="job 1 is enqueued twice, at 2"):
        given(enqueued(), enqueued())
