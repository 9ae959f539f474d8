"""The states of a job and its transitions."""

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


def test_claimed_job_is_processing_by_its_worker() -> None:
    job = given(enqueued(), CLAIMED)
    assert (job.state, job.attempt, job.worker) == ("processing", 1, "3f")


def test_released_claim_is_no_attempt() -> None:
    released = (enqueued(), CLAIMED, Released(attempt=1, reason="stopping"))
    job = given(*released)
    assert (job.state, job.attempt, job.attempts, job.worker) == ("pending", 0, 0, None)
    again = given(*released, CLAIMED)
    assert (again.attempt, again.attempts) == (1, 1)


def test_early_log_with_numbers_used_by_released_claims_is_read() -> None:
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


def test_success_by_a_signal_keeps_the_signal() -> None:
    ended = Succeeded(attempt=1, exit_code=None, signal=15)
    job = given(enqueued(success_signal=(15,)), CLAIMED, ended)
    assert (job.state, job.exit_code, job.signal) == ("completed", None, 15)


def test_failed_job_with_a_retry_is_failed_and_due() -> None:
    job = given(enqueued(), CLAIMED, FAILED, RETRY)
    assert (job.state, job.due_at_us, job.retries_used) == ("failed", BEGAN_US + 9, 1)
    assert (job.failure, job.exit_code, job.failed_runs) == ("exit", 2, 1)


def test_due_retry_is_pending() -> None:
    job = given(enqueued(), CLAIMED, FAILED, RETRY, Requeued(why="retry-due"))
    assert (job.state, job.due_at_us, job.retries_used, job.round) == ("pending", None, 1, 1)


def test_dead_job_that_is_retried_begins_a_new_round() -> None:
    dead = (enqueued(), CLAIMED, FAILED, Dead(attempt=1, reason="retries-used-up"))
    assert given(*dead).state == "dead"
    job = given(*dead, Requeued(why="dlq"))
    assert (job.state, job.round, job.retries_used, job.attempt) == ("pending", 2, 0, 1)


def test_consecutive_lost_attempts_are_counted() -> None:
    lost = (LOST, Requeued(why="worker-lost"))
    job = given(enqueued(), CLAIMED, *lost, CLAIMED, *lost)
    assert (job.state, job.lost_in_row, job.failed_runs) == ("pending", 2, 0)
    assert given(enqueued(), CLAIMED, *lost, CLAIMED, FAILED, RETRY).lost_in_row == 0


def test_cancel_of_a_running_job_waits_for_its_worker() -> None:
    requested = (enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert (given(*requested).state, given(*requested).cancel_requested) == ("processing", True)
    job = given(*requested, Cancelled(attempt=1, signal=15))
    assert (job.state, job.cancel_requested, job.signal) == ("cancelled", False, 15)


def test_new_round_resets_the_count_of_losses() -> None:
    lost = (enqueued(), CLAIMED, FAILED, RETRY, Requeued(why="retry-due"), CLAIMED, LOST)
    job = given(*lost, Dead(attempt=1, reason="worker-lost"), Requeued(why="dlq"))
    assert (job.round, job.retries_used, job.lost_in_row) == (2, 0, 0)


def test_success_resets_failure_and_cancel_request() -> None:
    lost = replace(LOST, signal=9)
    before = (enqueued(), CLAIMED, lost, Requeued(why="worker-lost"), CLAIMED)
    job = given(*before, CancelRequested(attempt=1), Succeeded(attempt=1))
    assert (job.lost_in_row, job.cancel_requested, job.failure, job.signal) == (
        0,
        False,
        None,
        None,
    )


def test_job_that_failed_is_failed_before_the_next_event() -> None:
    job = given(enqueued(), CLAIMED, replace(FAILED, signal=9))
    assert (job.state, job.worker, job.signal) == ("failed", None, 9)


def test_dead_job_has_no_due_time() -> None:
    assert given(enqueued(), CLAIMED, RETRY).state == "failed"
    assert (
        given(enqueued(), CLAIMED, RETRY, Dead(attempt=1, reason="worker-lost")).due_at_us is None
    )


def test_job_cancelled_while_waiting_keeps_its_last_exit() -> None:
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
def test_every_event_updates_version_position_and_time(event: JobEvent) -> None:
    job = given(enqueued(), CLAIMED, event)
    assert (job.version, job.position, job.changed_at_us) == (3, 3, BEGAN_US + 2 * SECOND_US)


def test_new_job_has_version_and_position_of_its_event() -> None:
    assert (given(enqueued()).version, given(enqueued()).position) == (1, 1)


def test_cancel_request_does_not_change_the_state() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert (job.version, job.position, job.changed_at_us) == (3, 3, BEGAN_US + SECOND_US)


def test_job_cannot_be_enqueued_twice() -> None:
    with pytest.raises(AssertionError, match="job 1 is enqueued twice, at 2"):
        given(enqueued(), enqueued())
