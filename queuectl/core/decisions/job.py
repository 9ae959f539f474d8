"""The rules of a job: for each request and state, the resulting events or the refusal."""

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
"""Fields of NewJob that the event contains in another form: stream, due time and context."""
_DEFAULTS = tuple(
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
"""Delays are restarted only if the clock was set back by more: time servers often set it less."""

MOST_LOST_IN_ROW = 3
"""After this many consecutive losses of its worker a job is dead: it may be what kills workers."""


def runs_alone(job: Job) -> bool:
    """Return whether the job becomes dead if its worker dies once more.

    A worker runs at most one such job at a time.
    """
    return job.lost_in_row >= MOST_LOST_IN_ROW - 1


def decide(job: Job | None, request: JobRequest) -> Decision:
    """Return the events of a request (none if it is already fulfilled), or a refusal."""
    if isinstance(request, Enqueue):
        return enqueue(job, request)
    if job is None:
        return NoSuchJob(request.job_id)
    match request:
        case Claim():
            return claim(job, request)
        case Finish():
            return finish(job, request)
        case Release():
            return release(job, request)
        case ComeDue():
            return come_due(job, request)
        case Rearm():
            return rearm(job, request)
        case Lose():
            return lose(job, request)
        case RetryDead():
            return retry_dead(job, request)
        case Retry():
            return retry(job, request)
        case Discard():
            return discard(job, request)
        case Cancel():
            return cancel(job, request)
        case _:
            assert_never(request)


def enqueue(job: Job | None, request: Enqueue) -> Decision:
    """Accept a new job. If the id exists: do nothing if the request is the same, else refuse."""
    if job is not None:
        if request.digest == job.spec.request_sha256:
            return ()
        different = _differences(job, request)
        return IdTaken(job.id, different) if different else ()
    if (command := request.new.command) is not None and replace(
        request.new, command=None
    ) == _PLAIN:
        return (replace(_without_options(request.policy, request.context), command=command),)
    return (_enqueued(request),)


def _enqueued(request: Enqueue) -> Enqueued:
    """Return the event for a new job: the event without options, with this job's options added."""
    new = request.new
    facts: dict[str, Any] = {
        name: value
        for name, default in _DEFAULTS
        if (value := getattr(new, name)) is not default and value != default
    }
    if "argv" in facts:
        facts["command"] = _shell_text(facts["argv"])
    for name in _ZERO_IS_NONE:
        if facts.get(name) == 0:
            facts[name] = None
    if "delay_us" in facts or new.run_at_us is not None:
        facts["due_at_us"] = _due_at_us(request)
    if request.digest is not None:
        facts["request_sha256"] = request.digest
    return replace(_without_options(request.policy, request.context), **_with_usual_objects(facts))


@lru_cache(maxsize=64)
def _without_options(policy: Policy, context: int) -> Enqueued:
    """Return the event for a job without options. It is computed once for all jobs of a file."""
    facts: dict[str, Any] = {**_REQUIRED, **dict(policy.values), "context": context}
    return Enqueued(**_with_usual_objects(facts))


def _with_usual_objects(facts: dict[str, Any]) -> dict[str, Any]:
    """Return `facts` with each value that equals a default replaced by the default object.

    msgspec leaves a field out of the JSON only if its value is the same object as its default.
    """
    for name, value in facts.items():
        if value == (usual := _USUAL.get(name, _NEVER)):
            facts[name] = usual
    return facts


def _differences(job: Job, request: Enqueue) -> tuple[str, ...]:
    """Return the names of the fields in which the requested job would differ from `job`.

    A request may describe the same job in another way, for example by naming a default.
    """
    other = asdict(_enqueued(request))
    del other["request_sha256"]
    return tuple(name for name, value in other.items() if getattr(job.spec, name) != value)


def _shell_text(argv: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(argv)


def _due_at_us(request: Enqueue) -> int | None:
    """Return when the job may first run (UTC); None means at once, as if the time has passed."""
    due = request.new.run_at_us
    if request.new.delay_us is not None:
        due = request.at_us + request.new.delay_us
    return due if due is not None and due > request.at_us else None


def come_due(job: Job, request: ComeDue) -> Decision:
    """Make a delayed job, or a job that waits for a retry, pending if it is due."""
    if job.due_at_us is None or request.at_us < job.due_at_us:
        return NotDue(job.id, job.state)
    return (FellDue(),) if job.state == "scheduled" else (Requeued(why="retry-due"),)


def rearm(job: Job, request: Rearm) -> Decision:
    """Restart a delay if the clock was set back to a time before it began."""
    if job.due_at_us is None or job.delay_us is None:
        return ()
    if job.due_at_us - job.delay_us <= request.at_us + CLOCK_SLACK_US:
        return ()
    due_at_us = request.at_us + job.delay_us
    return (Rescheduled(delay_us=job.delay_us, due_at_us=due_at_us, why="clock-set-back"),)


def claim(job: Job, request: Claim) -> Decision:
    """Claim a pending job, with the next attempt number."""
    if job.state != "pending":
        return NotPending(job.id, job.state)
    waited = max(0, request.at_us - job.changed_at_us)  # the clock may have been set back
    return (
        Claimed(
            attempt=job.attempt + 1, worker=request.worker, slot=request.slot, waited_us=waited
        ),
    )


def release(job: Job, request: Release) -> Decision:
    """Make a job pending whose attempt has not begun; cancel it if that was requested."""
    if not _is_current_claim(job, request):
        return StaleAttempt(job.id, request.attempt)
    released = Released(attempt=request.attempt, reason=request.reason)
    return (released, Cancelled()) if job.cancel_requested else (released,)


def finish(job: Job, request: Finish) -> Decision:
    """Record how an attempt ended: a success, else a requested cancel, else a failure.

    After a failure the job is requeued, waits for a retry, or is dead.
    """
    if not _is_current_claim(job, request):
        return StaleAttempt(job.id, request.attempt)
    outcome = request.outcome
    if _ended_as(outcome, job.spec.success_exit, job.spec.success_signal):
        return (
            Succeeded(
                attempt=request.attempt,
                exit_code=outcome.exit_code,
                signal=outcome.signal,
                **_facts(outcome.usage),
            ),
        )
    if outcome.ended == "cancelled" or job.cancel_requested:
        return (
            Cancelled(
                attempt=request.attempt,
                exit_code=outcome.exit_code,
                signal=outcome.signal,
                **_facts(outcome.usage),
            ),
        )
    failed = _failed(request.attempt, outcome, outcome.ended)
    if outcome.ended == "worker-stopped":
        return (failed, Requeued(why="worker-stopped"))
    return (failed, _after_failure(job, request))


def _after_failure(job: Job, request: Finish) -> ScheduledRetry | Dead:
    """Return the event after a failure: a retry, or the death of the job if none is left."""
    if _ended_as(request.outcome, job.spec.no_retry_exit, job.spec.no_retry_signal):
        return Dead(attempt=request.attempt, reason="no-retry-exit")
    if job.retries_used >= job.spec.max_retries:
        return Dead(attempt=request.attempt, reason="retries-used-up")
    number = job.retries_used + 1
    backoff = Backoff(job.spec.backoff_base, job.spec.backoff_max_us, job.spec.jitter)
    delay = delay_us(number, backoff, request.jitter)
    return ScheduledRetry(
        attempt=request.attempt, retry=number, delay_us=delay, due_at_us=request.at_us + delay
    )


def _ended_as(outcome: Outcome, codes: tuple[int, ...], signals: tuple[int, ...]) -> bool:
    """Return True if the attempt ended by itself with one of these exit codes or signals.

    An exit code of 128 + n also means signal n, as shells report it: a job that runs without a
    shell ends by the signal itself. A signal from the worker (timeout, stop) never counts.
    """
    if outcome.ended == "exit":
        return outcome.exit_code in codes
    if outcome.ended == "signal" and outcome.signal is not None:
        return outcome.signal in signals or outcome.signal + 128 in codes
    return False


def lose(job: Job, request: Lose) -> Decision:
    """Requeue the job at once, without using up a retry.

    After the third loss in a row it is dead.
    """
    if not _is_current_claim(job, request):
        return StaleAttempt(job.id, request.attempt)
    if job.cancel_requested:
        return (Cancelled(attempt=request.attempt),)
    last = job.lost_in_row + 1 >= MOST_LOST_IN_ROW
    failed = Failed(attempt=request.attempt, reason="worker-lost", counted=last)
    if last:
        return (failed, Dead(attempt=request.attempt, reason="worker-lost"))
    return (failed, Requeued(why="worker-lost"))


def retry_dead(job: Job, request: RetryDead) -> Decision:
    """Requeue a dead job in a new round of retries."""
    if job.state != "dead":
        return NotDead(job.id, job.state, "retried")
    return (Requeued(why="dlq", reason=request.reason),)


def retry(job: Job, request: Retry) -> Decision:
    """Requeue a waiting job in the same round of retries, a dead job in a new one."""
    match job.state:
        case "pending":
            return ()
        case "failed" | "scheduled":
            return (Requeued(why="asked", reason=request.reason),)
        case "dead":
            return (Requeued(why="dlq", reason=request.reason),)
        case _:
            return NotWaiting(job.id, job.state)


def discard(job: Job, request: Discard) -> Decision:
    """Cancel a dead job. Do nothing if it is already cancelled."""
    if job.state == "cancelled":
        return ()
    if job.state != "dead":
        return NotDead(job.id, job.state, "discarded")
    return (Cancelled(reason=request.reason),)


def cancel(job: Job, request: Cancel) -> Decision:
    """Cancel a waiting job at once. Request the cancel of a running job from its worker.

    Do nothing if the job is already cancelled, or its cancel is already requested.
    """
    if job.state == "cancelled":
        return ()
    if job.state in FINAL:
        return AlreadyFinal(job.id, job.state)
    if job.state != "processing":
        return (Cancelled(reason=request.reason),)
    if job.cancel_requested:
        return ()
    return (CancelRequested(attempt=job.attempt, reason=request.reason),)


def _is_current_claim(job: Job, request: OfClaim) -> bool:
    """Return True if the request is about the job's current claim.

    The worker is compared as well, because a released attempt number is claimed again.
    """
    same_worker = request.worker is None or request.worker == job.worker
    return job.state == "processing" and job.attempt == request.attempt and same_worker


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
    """Return the measurements as fields of the event that records them."""
    return asdict(usage)
