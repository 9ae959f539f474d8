"""What may be asked of the queue, with all the facts a decision needs.

Times are UTC, microseconds since 1970; the caller reads the clock and draws the jitter.
"""

from typing import Literal

import msgspec

from eventstore.events.job import FailureReason, Usage
from eventstore.events.worker import WorkerStarted
from projections.folds.config import SettingValue


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Root of all requests."""


class OfJob(Request, frozen=True, kw_only=True):
    """What is asked of one job."""

    job_id: str


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as asked for; null is the setting in force. Exactly one of `command` and `argv`."""

    command: str | None = None
    argv: tuple[str, ...] | None = None
    id: str | None = None
    name: str | None = None
    queue: str = "default"
    priority: int = 0
    tags: dict[str, str] = {}
    delay_us: int | None = None
    run_at_us: int | None = None
    run_at: str | None = None
    """How `run_at_us` was written, if that depends on the day: the same words, the same request."""
    max_retries: int | None = None
    backoff_base: float | None = None
    backoff_max_us: int | None = None
    jitter: float | None = None
    timeout_us: int | None = None
    """0 is no timeout, whatever the setting."""
    grace_us: int | None = None
    output_limit_bytes: int | None = None
    success_exit: tuple[int, ...] = (0,)
    success_signal: tuple[int, ...] = ()
    no_retry_exit: tuple[int, ...] = ()
    no_retry_signal: tuple[int, ...] = ()
    cwd: str | None = None
    """Absolute; null is the directory of whoever enqueues."""
    env: dict[str, str] = {}
    background: Literal["end", "keep"] = "end"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force for a job that asks for nothing else."""

    max_retries: int
    backoff_base: float
    backoff_max_us: int
    jitter: float
    timeout_us: int | None
    grace_us: int
    output_limit_bytes: int


class Enqueue(OfJob, frozen=True, kw_only=True):
    """Accept a job under `job_id`, drawn by the queue or brought by the client."""

    new: NewJob
    policy: Policy
    context: int
    digest: str | None
    """SHA-256 of the request, if the client brought the id."""
    at_us: int


class ComeDue(OfJob, frozen=True, kw_only=True):
    """The time of a delayed job or of a retry has come."""

    at_us: int


class Rearm(OfJob, frozen=True, kw_only=True):
    """The wait for a delay began at a time that the clock has not reached yet: begin it again."""

    at_us: int


class Claim(OfJob, frozen=True, kw_only=True):
    """Take a pending job for a slot of a worker."""

    worker: str
    slot: int
    at_us: int


class OfClaim(OfJob, frozen=True, kw_only=True):
    """What is asked of a claim in force; of one that was superseded it is refused.

    worker: who holds it; None is whoever does.
    """

    attempt: int
    worker: str | None = None


class Release(OfClaim, frozen=True, kw_only=True):
    """Give back an attempt that was claimed and never begun: the next claim has its number."""

    reason: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How an attempt ended, as its worker saw it."""

    ended: FailureReason | Literal["cancelled"]
    """`exit`: by itself, with `exit_code`, good or bad. `cancelled`, `timeout`, `worker-stopped`:
    we ended it, whatever code it left."""
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    usage: Usage = Usage()


class Finish(OfClaim, frozen=True, kw_only=True):
    """Record the end of an attempt. `jitter` is drawn from [0, 1)."""

    outcome: Outcome
    jitter: float
    at_us: int


class Lose(OfClaim, frozen=True, kw_only=True):
    """The worker of this attempt is dead, and nothing of the attempt runs any more."""


class RetryDead(OfJob, frozen=True, kw_only=True):
    """Put a dead job back in line, with a fresh budget of retries."""

    reason: str | None = None


class Retry(OfJob, frozen=True, kw_only=True):
    """Make a job that waits for its time available now; a dead one as RetryDead does."""

    reason: str | None = None


class Discard(OfJob, frozen=True, kw_only=True):
    """Take a dead job out of the dead-letter queue: nobody will retry it."""

    reason: str | None = None


class Cancel(OfJob, frozen=True, kw_only=True):
    """End a job: at once when it waits, through its worker when it runs."""

    reason: str | None = None


JobRequest = (
    Enqueue
    | ComeDue
    | Rearm
    | Claim
    | Release
    | Finish
    | Lose
    | RetryDead
    | Retry
    | Discard
    | Cancel
)


class StartWorker(Request, frozen=True, kw_only=True):
    """A supervisor holds its lock and begins."""

    worker_id: str
    started: WorkerStarted


class RequestStop(Request, frozen=True, kw_only=True):
    """Ask a worker to finish what runs (`drain`) or to end it (`now`)."""

    worker_id: str
    how: Literal["drain", "now"]
    reason: str | None = None


class EndWorker(Request, frozen=True, kw_only=True):
    """A supervisor leaves in order."""

    worker_id: str
    reason: Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost", "error"]


class LoseWorker(Request, frozen=True, kw_only=True):
    """A worker was found dead by another."""

    worker_id: str
    found_by: str


WorkerRequest = StartWorker | RequestStop | EndWorker | LoseWorker


class SetConfig(Request, frozen=True, kw_only=True):
    """Give a setting a value in its stored unit; null is the default again."""

    key: str
    value: SettingValue | None
    reason: str | None = None


AnyRequest = JobRequest | WorkerRequest | SetConfig
