"""The rules of a job: each request, each state, its events or its refusal. All pure."""

from functools import lru_cache
from typing import Any, TypeVar, assert_never

from msgspec.structs import asdict, replace

from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    FailureReason,
    FellDue,
    JobEvent,
    Released,
    Requeued,
    Rescheduled,
    ScheduledRetry,
    Succeeded,
    Usage,
)
from projections.folds.job import FINAL, Job

from ...errors import (
    AlreadyFinal,
    IdTaken,
    NoSuchJob,
    NotDead,
    NotDue,
    NotPending,
    NotWaiting,
    Refusal,
    StaleAttempt,
)
from ..backoff import Backoff, delay_us
from ..requests import (
    Cancel,
    Claim,
    ComeDue,
    Discard,
    Enqueue,
    Finish,
    JobRequest,
    Lose,
    NewJob,
    OfClaim,
    Outcome,
    Policy,
    Rearm,
    Release,
    Retry,
    RetryDead,
)

T = TypeVar("T")

Decision = tuple[JobEvent, ...] | Refusal | NoSuchJob

_PLAIN = NewJob()
_NOT_RECORDED = frozenset({"id", "run_at", "run_at_us", "cwd"})
"""Of a request: known by the stream, the due time and the context."""
_ASKS_NOTHING = tuple(
    (name, value) for name, value in asdict(_PLAIN).items() if name not in _NOT_RECORDED
)
_ZERO_IS_NONE = ("delay_us", "timeout_us")
_NEVER = object()
_REQUIRED = {"command": "", "max_retries": 0, "backoff_base": 0.0}
_USUAL = {
    name: default
    for name, default in asdict(Enqueued(**_REQUIRED)).items()  # type: ignore[arg-type]
    if name not in _REQUIRED
}

CLOCK_SLACK_US = 1_000_000
"""By how much the clock may be set back before waits are begun again: time servers do it often."""

MOST_LOST_IN_ROW = 3
"""A job that kills its worker must not go round for ever: this loss is the last."""


def decide(job: Job | None, asked: JobRequest) -> Decision:
    """What happens to `job` when `asked`: events, none where it is so already, or a no."""
    if isinstance(asked, Enqueue):
        return enqueue(job, asked)
    if job is None:
        return NoSuchJob(asked.job_id)
    match asked:
        case Claim():
            return claim(job, asked)
        case Finish():
            return finish(job, asked)
        case Release():
            return release(job, asked)
        case ComeDue():
            return come_due(job, asked)
        case Rearm():
            return rearm(job, asked)
        case Lose():
            return lose(job, asked)
        case RetryDead():
            return retry_dead(job, asked)
        case Retry():
            return retry(job, asked)
        case Discard():
            return discard(job, asked)
        case Cancel():
            return cancel(job, asked)
        case _:
            assert_never(asked)


def enqueue(job: Job | None, asked: Enqueue) -> Decision:
    """The same id with the same request is the same job; with another it is refused."""
    if job is not None:
        if asked.digest == job.spec.request_sha256:
            return ()
        different = _differences(job, asked)
        return IdTaken(job.id, different) if different else ()
    if (command := asked.new.command) is not None and replace(asked.new, command=None) == _PLAIN:
        return (replace(_asks_nothing(asked.policy, asked.context), command=command),)
    return (_enqueued(asked),)


def _enqueued(asked: Enqueue) -> Enqueued:
    """The event for a new job: what its request changes in a job that asks for nothing."""
    new = asked.new
    facts: dict[str, Any] = {
        name: value
        for name, nothing in _ASKS_NOTHING
        if (value := getattr(new, name)) is not nothing and value != nothing
    }
    if "argv" in facts:
        facts["command"] = _shell_text(facts["argv"])
    for name in _ZERO_IS_NONE:
        if facts.get(name) == 0:
            facts[name] = None
    if "delay_us" in facts or new.run_at_us is not None:
        facts["due_at_us"] = _due_at_us(asked)
    if asked.digest is not None:
        facts["request_sha256"] = asked.digest
    return replace(_asks_nothing(asked.policy, asked.context), **_with_usual_objects(facts))


@lru_cache(maxsize=64)
def _asks_nothing(policy: Policy, context: int) -> Enqueued:
    """The event for a job without a request of its own: worked out once for all jobs of a file."""
    facts = {**_REQUIRED, **asdict(policy), "timeout_us": policy.timeout_us or None}
    return Enqueued(**_with_usual_objects({**facts, "context": context}))


def _with_usual_objects(facts: dict[str, Any]) -> dict[str, Any]:
    """Replace values that equal a default by it: msgspec leaves out a default by its identity."""
    for name, value in facts.items():
        if value == (usual := _USUAL.get(name, _NEVER)):
            facts[name] = usual
    return facts


def _differences(job: Job, asked: Enqueue) -> tuple[str, ...]:
    """The facts in which the job that was asked for would differ from this one.

    The same job may be asked for in other words, such as a default that is spelled out.
    """
    other = asdict(_enqueued(asked))
    del other["request_sha256"]
    return tuple(name for name, value in other.items() if getattr(job.spec, name) != value)


def _shell_text(argv: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(argv)


def _due_at_us(asked: Enqueue) -> int | None:
    """When it may first run; None for at once, also for a time that has passed."""
    due = asked.new.run_at_us
    if asked.new.delay_us is not None:
        due = asked.at_us + asked.new.delay_us
    return due if due is not None and due > asked.at_us else None


def come_due(job: Job, asked: ComeDue) -> Decision:
    """A delayed job falls due; a retry goes back in line."""
    if job.due_at_us is None or asked.at_us < job.due_at_us:
        return NotDue(job.id, job.state)
    return (FellDue(),) if job.state == "scheduled" else (Requeued(why="retry-due"),)


def rearm(job: Job, asked: Rearm) -> Decision:
    """Begin a wait again if the clock was set back to before its beginning; else nothing."""
    if job.due_at_us is None or job.delay_us is None:
        return ()
    if job.due_at_us - job.delay_us <= asked.at_us + CLOCK_SLACK_US:
        return ()
    due_at_us = asked.at_us + job.delay_us
    return (Rescheduled(delay_us=job.delay_us, due_at_us=due_at_us, why="clock-set-back"),)


def claim(job: Job, asked: Claim) -> Decision:
    """Only a pending job can be claimed, under the next attempt number."""
    if job.state != "pending":
        return NotPending(job.id, job.state)
    waited = max(0, asked.at_us - job.changed_at_us)  # the clock may have been set back
    return (
        Claimed(attempt=job.attempt + 1, worker=asked.worker, slot=asked.slot, waited_us=waited),
    )


def release(job: Job, asked: Release) -> Decision:
    """The attempt never ran. Where a cancel was asked for meanwhile, that is its end."""
    if not _runs(job, asked):
        return StaleAttempt(job.id, asked.attempt)
    released = Released(attempt=asked.attempt, reason=asked.reason)
    return (released, Cancelled()) if job.cancel_requested else (released,)


def finish(job: Job, asked: Finish) -> Decision:
    """Success first; else a cancel that was asked for; else retry or death."""
    if not _runs(job, asked):
        return StaleAttempt(job.id, asked.attempt)
    outcome = asked.outcome
    if _ended_as(outcome, job.spec.success_exit, job.spec.success_signal):
        return (
            Succeeded(
                attempt=asked.attempt,
                exit_code=outcome.exit_code,
                signal=outcome.signal,
                **_facts(outcome.usage),
            ),
        )
    if outcome.ended == "cancelled" or job.cancel_requested:
        return (
            Cancelled(
                attempt=asked.attempt,
                exit_code=outcome.exit_code,
                signal=outcome.signal,
                **_facts(outcome.usage),
            ),
        )
    failed = _failed(asked.attempt, outcome, outcome.ended)
    if outcome.ended == "worker-stopped":
        return (failed, Requeued(why="worker-stopped"))
    return (failed, _after_failure(job, asked))


def _after_failure(job: Job, asked: Finish) -> ScheduledRetry | Dead:
    if _ended_as(asked.outcome, job.spec.no_retry_exit, job.spec.no_retry_signal):
        return Dead(attempt=asked.attempt, reason="no-retry-exit")
    if job.retries_used >= job.spec.max_retries:
        return Dead(attempt=asked.attempt, reason="retries-used-up")
    number = job.retries_used + 1
    backoff = Backoff(job.spec.backoff_base, job.spec.backoff_max_us, job.spec.jitter)
    delay = delay_us(number, backoff, asked.jitter)
    return ScheduledRetry(
        attempt=asked.attempt, retry=number, delay_us=delay, due_at_us=asked.at_us + delay
    )


def _ended_as(outcome: Outcome, codes: tuple[int, ...], signals: tuple[int, ...]) -> bool:
    """Whether the attempt ended by itself with one of these exit codes, or by one of these signals.

    An exit code of 128 + n also stands for signal n, as shells report it: a job that runs without a
    shell ends by the signal itself. A signal that we sent, for a timeout or a stop, never counts.
    """
    if outcome.ended == "exit":
        return outcome.exit_code in codes
    if outcome.ended == "signal" and outcome.signal is not None:
        return outcome.signal in signals or outcome.signal + 128 in codes
    return False


def lose(job: Job, asked: Lose) -> Decision:
    """No retry used and no delay; but the third loss in a row is the last."""
    if not _runs(job, asked):
        return StaleAttempt(job.id, asked.attempt)
    if job.cancel_requested:
        return (Cancelled(attempt=asked.attempt),)
    last = job.lost_in_row + 1 >= MOST_LOST_IN_ROW
    failed = Failed(attempt=asked.attempt, reason="worker-lost", counted=last)
    if last:
        return (failed, Dead(attempt=asked.attempt, reason="worker-lost"))
    return (failed, Requeued(why="worker-lost"))


def retry_dead(job: Job, asked: RetryDead) -> Decision:
    """A dead letter opens a new round."""
    if job.state != "dead":
        return NotDead(job.id, job.state, "retried")
    return (Requeued(why="dlq", reason=asked.reason),)


def retry(job: Job, asked: Retry) -> Decision:
    """End a wait for a time, within the same round; a dead letter opens a new one."""
    match job.state:
        case "pending":
            return ()
        case "failed" | "scheduled":
            return (Requeued(why="asked", reason=asked.reason),)
        case "dead":
            return (Requeued(why="dlq", reason=asked.reason),)
        case _:
            return NotWaiting(job.id, job.state)


def discard(job: Job, asked: Discard) -> Decision:
    """A dead letter that nobody wants; twice is once."""
    if job.state == "cancelled":
        return ()
    if job.state != "dead":
        return NotDead(job.id, job.state, "discarded")
    return (Cancelled(reason=asked.reason),)


def cancel(job: Job, asked: Cancel) -> Decision:
    """At once when it waits; through its worker when it runs. Twice is once."""
    if job.state == "cancelled":
        return ()
    if job.state in FINAL:
        return AlreadyFinal(job.id, job.state)
    if job.state != "processing":
        return (Cancelled(reason=asked.reason),)
    if job.cancel_requested:
        return ()
    return (CancelRequested(attempt=job.attempt, reason=asked.reason),)


def _runs(job: Job, asked: OfClaim) -> bool:
    """Whether the claim is the one in force. A number that was given back is claimed again."""
    same_worker = asked.worker is None or asked.worker == job.worker
    return job.state == "processing" and job.attempt == asked.attempt and same_worker


def _failed(attempt: int, outcome: Outcome, reason: FailureReason) -> Failed:
    return Failed(
        attempt=attempt,
        reason=reason,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        error=outcome.error,
        counted=reason != "worker-stopped",
        **_facts(outcome.usage),
    )


def _facts(usage: Usage) -> dict[str, Any]:
    """The measurements, as fields of the event that records them."""
    return asdict(usage)
