"""When a supervisor writes, and when it wakes up."""

from queuectl.worker.pace import (
    LOCKED_TOO_LONG,
    LOOK_AGAIN_US,
    RESULT_WAITS_US,
    TRY_AGAIN_US,
    TRY_LOCK_AGAIN_US,
    Facts,
    Pace,
    WaitUntil,
    WriteNow,
)

IDLE = Facts(
    now_us=1_000,
    committing=False,
    unrecorded=False,
    due=False,
    ready=False,
    free=True,
    stopping=False,
    prefetched_until_us=None,
    scarce=True,
    next_event_us=None,
)
CLAIM = WriteNow(claim=True, release_expired=False)
RECORD = WriteNow(claim=False, release_expired=False)


def pace_after_look(now_us: int = 1_000) -> Pace:
    pace = Pace()
    assert pace.check_is_due(now_us)
    return pace


def test_idle_worker_sleeps_until_it_reads_the_log_again() -> None:
    pace = pace_after_look()
    assert pace.next_step(IDLE) == WaitUntil(1_000 + LOOK_AGAIN_US)
    assert not pace.check_is_due(1_000 + LOOK_AGAIN_US - 1)
    assert pace.check_is_due(1_000 + LOOK_AGAIN_US)


def test_worker_wakes_up_for_the_next_timeout() -> None:
    assert pace_after_look().next_step(IDLE._replace(next_event_us=5_000)) == WaitUntil(5_000)


def test_ready_jobs_are_claimed_for_free_slots_only() -> None:
    pace = pace_after_look()
    assert pace.next_step(IDLE._replace(ready=True)) == CLAIM
    busy = IDLE._replace(ready=True, free=False)
    assert pace.next_step(busy) == WaitUntil(1_000 + LOOK_AGAIN_US)


def test_stopping_worker_records_and_claims_nothing() -> None:
    pace = pace_after_look()
    stopping = IDLE._replace(ready=True, stopping=True)
    assert pace.next_step(stopping) == WaitUntil(1_000 + LOOK_AGAIN_US)
    assert pace.next_step(stopping._replace(unrecorded=True)) == RECORD


def test_jobs_that_fell_due_are_requeued_at_once() -> None:
    assert pace_after_look().next_step(IDLE._replace(due=True, free=False)) == CLAIM


def test_nothing_is_written_while_a_commit_runs() -> None:
    facts = IDLE._replace(committing=True, unrecorded=True, ready=True)
    assert pace_after_look().next_step(facts) == WaitUntil(1_000 + LOOK_AGAIN_US)
    assert pace_after_look().next_step(facts._replace(next_event_us=1_500)) == WaitUntil(1_500)


def test_results_of_short_jobs_are_recorded_together() -> None:
    pace = pace_after_look()
    pace.first_result(1_000)
    facts = IDLE._replace(unrecorded=True, prefetched_until_us=90_000, scarce=False, free=False)
    assert pace.next_step(facts) == WaitUntil(1_000 + RESULT_WAITS_US)
    assert pace.next_step(facts._replace(now_us=1_000 + RESULT_WAITS_US)) == CLAIM


def test_results_are_recorded_at_once_before_prefetched_claims_run_out() -> None:
    pace = pace_after_look()
    pace.first_result(1_000)
    facts = IDLE._replace(unrecorded=True, prefetched_until_us=90_000, scarce=True, free=False)
    assert pace.next_step(facts) == CLAIM


def test_prefetched_claims_that_found_no_slot_are_released() -> None:
    pace = pace_after_look()
    facts = IDLE._replace(prefetched_until_us=90_000, ready=True, free=False)
    assert pace.next_step(facts) == WaitUntil(90_000)
    expired = facts._replace(now_us=90_000)
    assert pace.next_step(expired) == WriteNow(claim=False, release_expired=True)


def test_write_that_found_no_room_is_repeated_without_new_claims() -> None:
    pace = pace_after_look()
    facts = IDLE._replace(unrecorded=True, ready=True)
    pace.disk_full(1_000)
    assert pace.next_step(facts) == WaitUntil(1_000 + TRY_AGAIN_US)
    later = facts._replace(now_us=1_000 + TRY_AGAIN_US)
    assert pace.next_step(later) == RECORD
    pace.written()
    assert pace.next_step(later) == CLAIM


def test_process_that_keeps_the_lock_is_named_once() -> None:
    pace = pace_after_look()
    assert [pace.locked(1_000, "process 7") for _ in range(LOCKED_TOO_LONG + 1)] == [
        *[False] * (LOCKED_TOO_LONG - 1),
        True,
        False,
    ]
    assert pace.next_step(IDLE._replace(unrecorded=True)) == WaitUntil(1_000 + TRY_LOCK_AGAIN_US)


def test_nobody_is_named_for_a_lock_that_many_hold_in_turn() -> None:
    pace = pace_after_look()
    assert not any(pace.locked(1_000, f"process {number}") for number in range(20))


def test_refused_launches_are_tried_again_ever_more_seldom() -> None:
    pace = pace_after_look()
    facts = IDLE._replace(ready=True)
    waits = []
    for _ in range(6):
        pace.launch_refused(1_000)
        step = pace.next_step(facts)
        assert isinstance(step, WaitUntil)
        waits.append((step.until_us - 1_000) // 1_000_000)
    assert waits == [1, 2, 4, 8, 16, 30]
    pace.launched()
    pace.launch_refused(1_000)
    assert pace.next_step(facts) == WaitUntil(1_000 + TRY_AGAIN_US)
    assert pace.next_step(facts._replace(now_us=1_000 + TRY_AGAIN_US)) == CLAIM
