"""The rules of a job."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from eventstore import codec
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
    Rescheduled,
    ScheduledRetry,
    Succeeded,
    Usage,
)
from projections.folds.job import Job
from queuectl.core.decisions.job import CLOCK_SLACK_US, decide
from queuectl.core.requests import (
    Cancel,
    Claim,
    ComeDue,
    Discard,
    Enqueue,
    Finish,
    Lose,
    NewJob,
    Outcome,
    Policy,
    Rearm,
    Release,
    Retry,
    RetryDead,
)
from queuectl.core.settings import policy
from queuectl.errors import (
    AlreadyFinal,
    IdTaken,
    NoSuchJob,
    NotDead,
    NotDue,
    NotPending,
    StaleAttempt,
)
from tests.given import BEGAN_US, SECOND_US, enqueued, given

POLICY = policy({})
CLAIMED = Claimed(attempt=1, worker="3f", slot=1)
NOW = BEGAN_US + 60 * SECOND_US


def enqueue_request(digest: str | None = None, **options: Any) -> Enqueue:
    new = NewJob(**{"command": "true", **options})
    return Enqueue(job_id="1", new=new, policy=POLICY, context=0, digest=digest, at_us=NOW)


def finish(ended: Any = "exit", jitter: float = 0.0, attempt: int = 1, **how: Any) -> Finish:
    outcome = Outcome(ended=ended, **how)
    return Finish(job_id="1", attempt=attempt, outcome=outcome, jitter=jitter, at_us=NOW)


def running(**policy: Any) -> Job:
    return given(enqueued(**policy), CLAIMED)


SIGNAL_ENDS = [
    # spec, outcome, whether it is a success
    ({"success_signal": (15,)}, {"ended": "signal", "signal": 15}, True),
    ({"success_exit": (0, 143)}, {"ended": "signal", "signal": 15}, True),
    ({"success_exit": (0, 15)}, {"ended": "signal", "signal": 15}, False),
    ({"success_signal": (15,)}, {"ended": "exit", "exit_code": 143}, False),
    ({"success_signal": (15,)}, {"ended": "signal", "signal": 9}, False),
    ({"success_signal": (15,)}, {"ended": "timeout", "signal": 15}, False),
    ({"success_signal": (15,)}, {"ended": "worker-stopped", "signal": 15}, False),
    ({"success_exit": (3,)}, {"ended": "exit", "exit_code": 0}, False),
]


@pytest.mark.parametrize(("spec", "outcome", "success"), SIGNAL_ENDS)
def test_signal_is_a_success_only_if_the_job_says_so(
    spec: dict[str, Any], outcome: dict[str, Any], success: bool
) -> None:
    first, *_ = decide(running(**spec), finish(**outcome))  # type: ignore[misc]
    assert isinstance(first, Succeeded) == success
    if success:
        assert first == Succeeded(attempt=1, exit_code=None, signal=15)


@pytest.mark.parametrize(
    ("spec", "outcome", "final"),
    [
        ({"no_retry_signal": (9,)}, {"ended": "signal", "signal": 9}, True),
        ({"no_retry_exit": (137,)}, {"ended": "signal", "signal": 9}, True),
        ({"no_retry_exit": (9,)}, {"ended": "signal", "signal": 9}, False),
        ({"no_retry_signal": (9,)}, {"ended": "exit", "exit_code": 137}, False),
        ({"no_retry_signal": (15,)}, {"ended": "timeout", "signal": 15}, False),
        ({"no_retry_exit": (3,)}, {"ended": "timeout", "exit_code": 3}, False),
    ],
)
def test_no_retry_signal_leaves_no_retry(
    spec: dict[str, Any], outcome: dict[str, Any], final: bool
) -> None:
    _, then = decide(running(**spec), finish(**outcome))  # type: ignore[misc]
    assert isinstance(then, Dead if final else ScheduledRetry)


def test_signals_are_recorded_with_the_job() -> None:
    request = enqueue_request(success_signal=(15,), no_retry_signal=(9, 11))
    assert decide(None, request) == (enqueued(success_signal=(15,), no_retry_signal=(9, 11)),)


def test_job_is_enqueued_with_the_policy_in_force() -> None:
    assert decide(None, enqueue_request()) == (enqueued(),)


@pytest.mark.parametrize(
    "values",
    [{}, {"max_retries": 0}, {"jitter": 0.5, "timeout_us": 9}, {"output_limit_bytes": 1}],
)
def test_job_without_options_is_recorded_like_any_other(values: Any) -> None:
    """The shortcut for jobs without options records the same bytes."""
    in_force = Policy(tuple({**dict(POLICY.values), **values}.items()))
    plain = msgspec.structs.replace(enqueue_request(), policy=in_force, context=7)
    named = msgspec.structs.replace(plain, new=NewJob(command="true", name="x"))
    (short,), (long,) = decide(None, plain), decide(None, named)  # type: ignore[misc]
    assert codec.encode(short) == codec.encode(long).replace(',"name":"x"', "")


def test_options_of_a_job_override_the_policy() -> None:
    request = enqueue_request(max_retries=0, backoff_base=3.0, queue="encodes", priority=5)
    (event,) = decide(None, request)  # type: ignore[misc]
    assert event == enqueued(max_retries=0, queue="encodes", priority=5).__class__(
        command="true", max_retries=0, backoff_base=3.0, queue="encodes", priority=5
    )


def test_every_limit_can_be_an_option_of_a_job() -> None:
    options: Any = {
        "backoff_max_us": 1,
        "jitter": 0.25,
        "timeout_us": 2,
        "grace_us": 3,
        "output_limit_bytes": 4,
    }
    assert decide(None, enqueue_request(**options)) == (enqueued(**options),)


def test_argument_list_is_recorded_as_shell_text_too() -> None:
    (event,) = decide(None, enqueue_request(command=None, argv=("echo", "a b")))  # type: ignore[misc]
    assert (event.command, event.argv) == ("echo 'a b'", ("echo", "a b"))  # type: ignore[union-attr]


def test_delay_counts_from_enqueueing() -> None:
    (event,) = decide(None, enqueue_request(delay_us=5))  # type: ignore[misc]
    assert event.due_at_us == NOW + 5  # type: ignore[union-attr]


@pytest.mark.parametrize(("at_us", "due_at_us"), [(NOW - 1, None), (NOW, None), (NOW + 1, NOW + 1)])
def test_time_in_the_past_means_now(at_us: int, due_at_us: int | None) -> None:
    (event,) = decide(None, enqueue_request(run_at_us=at_us))  # type: ignore[misc]
    assert event.due_at_us == due_at_us  # type: ignore[union-attr]


def test_same_id_and_request_is_the_same_job() -> None:
    job = given(enqueued(request_sha256="aa"))
    assert decide(job, enqueue_request("aa")) == ()
    assert decide(job, enqueue_request("bb", priority=0, max_retries=3)) == ()
    refusal = decide(job, enqueue_request("bb", priority=1, timeout_us=5))
    assert isinstance(refusal, IdTaken)
    assert refusal.names == "priority, timeout"
    assert refusal.job_id == "1"


def test_pending_job_is_claimed_with_the_next_attempt_number() -> None:
    job = given(enqueued(), CLAIMED, Released(attempt=1, reason="stopping"))
    request = Claim(job_id="1", worker="4a", slot=2, at_us=job.changed_at_us + 7)
    assert decide(job, request) == (Claimed(attempt=1, worker="4a", slot=2, waited_us=7),)
    failed = given(enqueued(), CLAIMED, Failed(attempt=1, reason="exit"), Requeued(why="retry-due"))
    request = Claim(job_id="1", worker="4a", slot=2, at_us=failed.changed_at_us)
    assert decide(failed, request) == (Claimed(attempt=2, worker="4a", slot=2),)


def test_clock_that_was_set_back_gives_no_negative_wait() -> None:
    request = Claim(job_id="1", worker="4a", slot=2, at_us=0)
    assert decide(given(enqueued()), request) == (Claimed(attempt=1, worker="4a", slot=2),)


def test_running_job_cannot_be_claimed() -> None:
    request = Claim(job_id="1", worker="4a", slot=2, at_us=NOW)
    assert isinstance(decide(running(), request), NotPending)


def test_success_completes_the_job() -> None:
    used = Usage(duration_us=5, cpu_us=3)
    decision = decide(running(), finish(exit_code=0, usage=used))
    assert decision == (Succeeded(attempt=1, duration_us=5, cpu_us=3),)


def test_other_exit_codes_may_count_as_success() -> None:
    decision = decide(running(success_exit=(0, 3)), finish(exit_code=3))
    assert decision == (Succeeded(attempt=1, exit_code=3),)


@pytest.mark.parametrize(("used", "delay_s"), [(0, 2), (1, 4), (2, 8)])
def test_retry_is_delayed_by_base_to_the_power_of_its_number(used: int, delay_s: int) -> None:
    retries = [
        event
        for k in range(1, used + 1)
        for event in (
            Failed(attempt=k, reason="exit", exit_code=1),
            ScheduledRetry(attempt=k, retry=k, delay_us=1, due_at_us=1),
            Requeued(why="retry-due"),
            Claimed(attempt=k + 1, worker="3f", slot=1),
        )
    ]
    job = given(enqueued(), CLAIMED, *retries)
    failed, retry = decide(job, finish(exit_code=1, attempt=used + 1))  # type: ignore[misc]
    assert failed == Failed(attempt=used + 1, reason="exit", exit_code=1)
    assert retry == ScheduledRetry(
        attempt=used + 1,
        retry=used + 1,
        delay_us=delay_s * SECOND_US,
        due_at_us=NOW + delay_s * SECOND_US,
    )


def test_jitter_shortens_the_delay_by_the_drawn_fraction() -> None:
    _, retry = decide(running(jitter=0.5), finish(exit_code=1, jitter=0.5))  # type: ignore[misc]
    assert retry.delay_us == 1_500_000  # type: ignore[union-attr]


def test_last_failure_makes_the_job_dead() -> None:
    assert decide(running(max_retries=0), finish(exit_code=1)) == (
        Failed(attempt=1, reason="exit", exit_code=1),
        Dead(attempt=1, reason="retries-used-up"),
    )


def test_no_retry_exit_code_makes_the_job_dead_at_once() -> None:
    _, dead = decide(running(no_retry_exit=(65,)), finish(exit_code=65))  # type: ignore[misc]
    assert dead == Dead(attempt=1, reason="no-retry-exit")


def test_timeout_is_a_failure_whatever_the_exit_code() -> None:
    failed, _ = decide(running(), finish("timeout", exit_code=0))  # type: ignore[misc]
    assert failed == Failed(attempt=1, reason="timeout", exit_code=0)


def test_failure_is_recorded_with_error_and_usage() -> None:
    how: Any = {"error": "no such program", "usage": Usage(duration_us=5, cpu_us=3)}
    failed, _ = decide(running(), finish("not-found", **how))  # type: ignore[misc]
    assert failed == Failed(
        attempt=1, reason="not-found", error="no such program", duration_us=5, cpu_us=3
    )


def test_job_ended_with_its_worker_is_requeued_without_using_a_retry() -> None:
    assert decide(running(max_retries=0), finish("worker-stopped", signal=15)) == (
        Failed(attempt=1, reason="worker-stopped", signal=15, counted=False),
        Requeued(why="worker-stopped"),
    )


def test_late_result_of_a_lost_attempt_is_refused() -> None:
    lost = Failed(attempt=1, reason="worker-lost", counted=False)
    again = (lost, Requeued(why="worker-lost"), Claimed(attempt=2, worker="4a", slot=1))
    job = given(enqueued(), CLAIMED, *again)
    assert isinstance(decide(job, finish(exit_code=0, attempt=1)), StaleAttempt)


def test_second_result_of_an_attempt_is_refused() -> None:
    job = given(enqueued(), CLAIMED, Succeeded(attempt=1))
    assert isinstance(decide(job, finish(exit_code=1)), StaleAttempt)


def test_lost_attempt_is_requeued_at_once_without_using_a_retry() -> None:
    assert decide(running(max_retries=0), Lose(job_id="1", attempt=1)) == (
        Failed(attempt=1, reason="worker-lost", counted=False),
        Requeued(why="worker-lost"),
    )


def test_third_consecutive_loss_makes_the_job_dead() -> None:
    lost: tuple[Any, ...] = (
        Failed(attempt=1, reason="worker-lost", counted=False),
        Requeued(why="worker-lost"),
        CLAIMED,
    )
    second = decide(given(enqueued(), CLAIMED, *lost), Lose(job_id="1", attempt=1))
    assert second == lost[:2]
    job = given(enqueued(), CLAIMED, *lost, *lost)
    assert decide(job, Lose(job_id="1", attempt=1)) == (
        Failed(attempt=1, reason="worker-lost", counted=True),
        Dead(attempt=1, reason="worker-lost"),
    )


def test_retry_is_not_due_before_its_time() -> None:
    retry = ScheduledRetry(attempt=1, retry=1, delay_us=1, due_at_us=NOW)
    job = given(enqueued(), CLAIMED, Failed(attempt=1, reason="exit", exit_code=1), retry)
    assert isinstance(decide(job, ComeDue(job_id="1", at_us=NOW - 1)), NotDue)
    assert decide(job, ComeDue(job_id="1", at_us=NOW)) == (Requeued(why="retry-due"),)


def test_delayed_job_becomes_due() -> None:
    job = given(enqueued(due_at_us=NOW))
    assert decide(job, ComeDue(job_id="1", at_us=NOW)) == (FellDue(),)


def test_timer_that_fires_twice_acts_once() -> None:
    assert isinstance(decide(given(enqueued()), ComeDue(job_id="1", at_us=NOW)), NotDue)


def test_dlq_retry_is_only_for_dead_jobs() -> None:
    dead = given(enqueued(), CLAIMED, Dead(attempt=1, reason="retries-used-up"))
    request = RetryDead(job_id="1", reason="disk repaired")
    assert decide(dead, request) == (Requeued(why="dlq", reason="disk repaired"),)
    assert isinstance(decide(given(enqueued()), request), NotDead)


def test_waiting_job_can_be_retried_now_in_the_same_round() -> None:
    retry = ScheduledRetry(attempt=1, retry=1, delay_us=5, due_at_us=NOW)
    waiting_for_retry = given(enqueued(), CLAIMED, Failed(attempt=1, reason="exit"), retry)
    delayed = given(enqueued(due_at_us=NOW))
    request = Retry(job_id="1", reason="server is back")
    for job in (waiting_for_retry, delayed):
        assert decide(job, request) == (Requeued(why="asked", reason="server is back"),)
    again = given(
        enqueued(), CLAIMED, Failed(attempt=1, reason="exit"), retry, Requeued(why="asked")
    )
    assert (again.state, again.due_at_us, again.retries_used, again.round) == (
        "pending",
        None,
        1,
        1,
    )


def test_retry_ignores_pending_jobs_and_begins_a_round_for_dead_ones() -> None:
    assert decide(given(enqueued()), Retry(job_id="1")) == ()
    dead = given(enqueued(), CLAIMED, Dead(attempt=1, reason="retries-used-up"))
    assert decide(dead, Retry(job_id="1")) == (Requeued(why="dlq"),)


DELAY_US = 60 * SECOND_US
WAITING_FOR_RETRY = (
    enqueued(),
    CLAIMED,
    Failed(attempt=1, reason="exit"),
    ScheduledRetry(attempt=1, retry=1, delay_us=DELAY_US, due_at_us=NOW + DELAY_US),
)
DELAYED = (enqueued(delay_us=DELAY_US, due_at_us=NOW + DELAY_US),)


@pytest.mark.parametrize("events", [WAITING_FOR_RETRY, DELAYED])
def test_delay_begins_again_if_the_clock_is_set_back_before_it(
    events: tuple[JobEvent, ...],
) -> None:
    job, early_us = given(*events), NOW - 10 * SECOND_US
    again = Rescheduled(delay_us=DELAY_US, due_at_us=early_us + DELAY_US, why="clock-set-back")
    assert decide(job, Rearm(job_id="1", at_us=early_us)) == (again,)
    later = given(*events, again)
    assert (later.due_at_us, later.delay_us) == (early_us + DELAY_US, DELAY_US)
    assert (later.state, later.retries_used) == (job.state, job.retries_used)
    for at_us in (NOW - CLOCK_SLACK_US, NOW, NOW + DELAY_US):
        assert decide(job, Rearm(job_id="1", at_us=at_us)) == ()


def test_given_time_is_kept_if_the_clock_is_set_back() -> None:
    absolute = given(enqueued(due_at_us=NOW))
    assert decide(absolute, Rearm(job_id="1", at_us=0)) == ()
    assert decide(given(enqueued()), Rearm(job_id="1", at_us=0)) == ()
    over = given(*WAITING_FOR_RETRY, Requeued(why="retry-due"))
    assert decide(over, Rearm(job_id="1", at_us=0)) == ()


def test_only_dead_jobs_can_be_discarded() -> None:
    dead = given(enqueued(), CLAIMED, Dead(attempt=1, reason="retries-used-up"))
    request = Discard(job_id="1", reason="source is gone")
    assert decide(dead, request) == (Cancelled(reason="source is gone"),)
    assert decide(given(enqueued(), Cancelled()), request) == ()
    assert isinstance(decide(given(enqueued()), request), NotDead)


def test_waiting_job_is_cancelled_at_once() -> None:
    request = Cancel(job_id="1", reason="not needed")
    assert decide(given(enqueued()), request) == (Cancelled(reason="not needed"),)


def test_running_job_is_cancelled_through_its_worker() -> None:
    request = Cancel(job_id="1")
    assert decide(running(), request) == (CancelRequested(attempt=1),)
    with_reason = Cancel(job_id="1", reason="not needed")
    assert decide(running(), with_reason) == (CancelRequested(attempt=1, reason="not needed"),)
    again = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert decide(again, request) == ()
    ended = finish("cancelled", signal=15, usage=Usage(duration_us=5))
    for job in (again, running()):
        assert decide(job, ended) == (Cancelled(attempt=1, signal=15, duration_us=5),)


def test_success_wins_over_a_requested_cancel() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert decide(job, finish(exit_code=0)) == (Succeeded(attempt=1),)


def test_failure_after_a_cancel_request_is_recorded_as_cancelled() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert decide(job, finish(exit_code=1)) == (Cancelled(attempt=1, exit_code=1),)


def test_cancel_request_is_kept_if_the_attempt_is_lost() -> None:
    job = given(enqueued(), CLAIMED, CancelRequested(attempt=1))
    assert decide(job, Lose(job_id="1", attempt=1)) == (Cancelled(attempt=1),)
    never_ran = decide(job, Release(job_id="1", attempt=1, reason="x"))
    assert never_ran == (Released(attempt=1, reason="x"), Cancelled())


def test_completed_job_cannot_be_cancelled() -> None:
    job = given(enqueued(), CLAIMED, Succeeded(attempt=1))
    assert isinstance(decide(job, Cancel(job_id="1")), AlreadyFinal)


def test_second_cancel_changes_nothing() -> None:
    assert decide(given(enqueued(), Cancelled()), Cancel(job_id="1")) == ()


@pytest.mark.parametrize(
    "request_",
    [
        ComeDue(job_id="1", at_us=0),
        Claim(job_id="1", worker="a", slot=1, at_us=0),
        Release(job_id="1", attempt=1, reason="x"),
        finish(),
        Lose(job_id="1", attempt=1),
        Retry(job_id="1"),
        RetryDead(job_id="1"),
        Rearm(job_id="1", at_us=NOW),
        Cancel(job_id="1"),
    ],
)
def test_missing_job_is_reported_as_not_found(request_: Any) -> None:
    assert isinstance(decide(None, request_), NoSuchJob)


@pytest.mark.parametrize(
    "request_", [Lose(job_id="1", attempt=1), Release(job_id="1", attempt=1, reason="x")]
)
def test_ended_attempt_cannot_be_lost_or_released(request_: Any) -> None:
    job = given(enqueued(), CLAIMED, Succeeded(attempt=1))
    assert isinstance(decide(job, request_), StaleAttempt)


@pytest.mark.parametrize(
    "request_",
    [
        Lose(job_id="1", attempt=1, worker="other"),
        Release(job_id="1", attempt=1, worker="other", reason="x"),
        Finish(
            job_id="1",
            attempt=1,
            worker="other",
            outcome=Outcome(ended="exit", exit_code=0),
            jitter=0.0,
            at_us=NOW,
        ),
    ],
)
def test_worker_cannot_end_another_workers_claim(request_: Any) -> None:
    assert isinstance(decide(running(), request_), StaleAttempt)
    assert not isinstance(decide(running(), replace(request_, worker="3f")), StaleAttempt)


def test_attempt_that_has_not_begun_is_released() -> None:
    request = Release(job_id="1", attempt=1, reason="no room")
    assert decide(running(), request) == (Released(attempt=1, reason="no room"),)
