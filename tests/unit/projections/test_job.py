"""A job's states and the way between them."""

import pytest
from msgspec.structs import replace

from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Failed,
    FellDue,
    JobEvent,
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


def test_claim_that_was_given_back_was_no_attempt() -> None:
    released = (enqueued(), CLAIMED, Released(attempt=1, reason="stopping"))
    job = given(*released)
    assert (job.state, job.attempt, job.attempts, job.worker) == ("pending", 0, 0, None)
    again = given(*released, CLAIMED)
    assert (again.attempt, again.attempts) == (1, 1)


def test_early_log_in_which_such_a_claim_used_up_a_number_is_read() -> None:
    job = given(
        enqueued(), CLAIMED, Released(attempt=1, reason="stopping"), replace(CLAIMED, attempt=2)
    )
    assert (job.attempt, job.attempts) == (2, 1)
    assert given(*EARLY).attempts == 1


EARLY = (
    enqueued(),
    CLAIMED,
    Released(attempt=1, reason="stopping"),
    replace(CLAIMED, attempt=2),
    Released(attempt=2, reason="stopping"),
    replace(CLAIMED, attempt=3),
    Succeeded(attempt=3),
)


def test_succeeded_job_is_completed() -> None:
    job = given(enqueued(), CLAIMED, Succeeded(attempt=1))
    assert (job.state, job.exit_code, job.succeeded_runs, job.worker) == ("completed", 0, 1, None)


def test_a_success_by_a_signal_keeps_the_signal() -> None:
    ended = Succeeded(attempt=1, exit_code=None, signal=15)
    job = given(enqueued(success_signal=(15,)), CLAIMED, ended)
    assert (job.state, job.exit_code, job.signal) == ("completed", None, 15)


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


def test_loss_is_forgotten_when_a_new_round_begins() -> None:
    lost = (enqueued(), CLAIMED, FAILED, RETRY, Requeued(why="retry-due"), CLAIMED, LOST)
    job = given(*lost, Dead(attempt=1, reason="worker-lost"), Requeued(why="dlq"))
    assert (job.round, job.retries_used, job.lost_in_row) == (2, 0, 0)


def test_success_forgets_what_went_before() -> None:
    lost = replace(LOST, signal=9)
    before = (enqueued(), CLAIMED, lost, Requeued(why="worker-lost"), CLAIMED)
    job = given(*before, CancelRequested(attempt=1), Succeeded(attempt=1))
    assert (job.lost_in_row, job.cancel_requested, job.failure, job.signal) == (
        0,
        False,
        None,
        None,
    )


def test_failure_alone_is_a_state_too() -> None:
    job = given(enqueued(), CLAIMED, replace(FAILED, signal=9))
    assert (job.state, job.worker, job.signal) == ("failed", None, 9)


def test_dead_job_is_due_no_more() -> None:
    assert given(enqueued(), CLAIMED, RETRY).state == "failed"
    assert (
        given(enqueued(), CLAIMED, RETRY, Dead(attempt=1, reason="worker-lost")).due_at_us is None
    )


def test_job_that_is_cancelled_while_it_waits_keeps_how_its_last_attempt_ended() -> None:
    killed = replace(FAILED, signal=9)
    job = given(enqueued(), CLAIMED, killed, RETRY, Cancelled())
    assert (job.exit_code, job.signal, job.due_at_us) == (2, 9, None)
    again = (Requeued(why="retry-due"), CLAIMED)
    job = given(enqueued(), CLAIMED, killed, RETRY, *again, Cancelled(attempt=2, exit_code=143))
    assert (job.exit_code, job.signal, job.worker) == (143, None, None)


@pytest.mark.parametrize(
    "event",
    [
        CLAIMED,
        Released(attempt=1, reason="stopping"),
        Succeeded(attempt=1),
        FAILED,
        RETRY,
        Dead(attempt=1, reason="retries-used-up"),
        Requeued(why="dlq"),
        FellDue(),
        Cancelled(attempt=1),
    ],
)
def test_every_event_says_where_the_job_is_and_since_when(event: JobEvent) -> None:
    job = given(enqueued(), CLAIMED, event)
    assert (job.version, job.position, job.changed_at_us) == (3, 3, BEGAN_US + 2 * SECOND_US)


def test_new_job_is_where_its_event_is() -> None:
    assert (given(enqueued()).version, given(enqueued()).position) == (1, 1)


def test_cancel_that_was_asked_for_changes_no_state() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert (job.version, job.position, job.changed_at_us) == (3, 3, BEGAN_US + SECOND_US)


def test_job_is_enqueued_once() -> None:
    with pytest.raises(AssertionError, match="job 1 is enqueued twice, at 2"):
        given(enqueued(), enqueued())
