"""The requests to the queue. Each has all the data that its decision needs, besides the state.

Times are UTC, microseconds since 1970. The caller reads the clock and draws the jitter.
"""

from typing import ClassVar, Literal

import msgspec

from eventstore.events.fact import Fact
from eventstore.events.job import FailureReason, Usage
from eventstore.events.worker import WorkerStarted
from projections.folds.config import SettingValue
from projections.streams import CONFIG, CONTEXT, LOG, StreamKind, named


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base class of all requests. Class variables hold what is the same for all of a type."""

    kind: ClassVar[StreamKind]
    """The kind of the stream to which its events are appended."""
    actor: ClassVar[Literal["timer"] | None] = None
    """The recorded actor; None means that of the transaction."""
    cause: ClassVar[Literal["last event"] | None] = None
    """The event that led to it: the last event of its stream, or none if a user made the request.
    """

    @property
    def stream(self) -> str:
        """The name of the stream to which its events are appended."""
        raise NotImplementedError


class OfJob(Request, frozen=True, kw_only=True):
    """Base class of all requests about one job."""

    kind = "job"
    job_id: str

    @property
    def stream(self) -> str:
        """The id of the job."""
        return self.job_id


class NewJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A job to enqueue. None means the setting in force. Either `command` or `argv` is set."""

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
    """The text that gave `run_at_us`, if its meaning depends on the day (`tomorrow 9:00`).

    The digest of the request contains it instead of `run_at_us`.
    """
    max_retries: int | None = None
    backoff_base: float | None = None
    backoff_max_us: int | None = None
    jitter: float | None = None
    timeout_us: int | None = None
    """0 means no timeout, whatever the setting is."""
    grace_us: int | None = None
    output_limit_bytes: int | None = None
    success_exit: tuple[int, ...] = (0,)
    success_signal: tuple[int, ...] = ()
    no_retry_exit: tuple[int, ...] = ()
    no_retry_signal: tuple[int, ...] = ()
    cwd: str | None = None
    """An absolute path; None means the working directory of the process that enqueues."""
    env: dict[str, str] = {}
    background: Literal["end", "keep"] = "end"


class Policy(msgspec.Struct, frozen=True, cache_hash=True):
    """The settings in force, for jobs that do not override them. Hashed for each job."""

    values: tuple[tuple[str, int | float | None], ...]
    """Pairs: a field of NewJob, and its value."""


class Enqueue(OfJob, frozen=True, kw_only=True):
    """Accept a job with the id `job_id`, which the queue or the client has chosen."""

    new: NewJob
    policy: Policy
    context: int
    digest: str | None
    """SHA-256 of the request in hexadecimal, if the client chose the id."""
    at_us: int


class ComeDue(OfJob, frozen=True, kw_only=True):
    """Make a delayed job or a retry pending: it is due."""

    actor = "timer"
    cause = "last event"
    at_us: int


class Rearm(OfJob, frozen=True, kw_only=True):
    """Restart a delay: the clock was set back to a time before the delay began."""

    actor = "timer"
    cause = "last event"
    at_us: int


class Claim(OfJob, frozen=True, kw_only=True):
    """Take a pending job for a slot of a worker."""

    cause = "last event"
    worker: str
    slot: int
    at_us: int


class OfClaim(OfJob, frozen=True, kw_only=True):
    """Base class of requests about a claim. They are refused if the claim is not current.

    worker: the worker that holds it; None means any.
    """

    cause = "last event"
    attempt: int
    worker: str | None = None


class Release(OfClaim, frozen=True, kw_only=True):
    """Release a claim whose attempt has not begun: the next claim has the same number."""

    reason: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How an attempt ended, as observed by its worker."""

    ended: FailureReason | Literal["cancelled"]
    """`exit`: it ended by itself, with any `exit_code`. `cancelled`, `timeout`, `worker-stopped`:
    the worker ended it, and the exit code does not matter."""
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    usage: Usage = Usage()


class Finish(OfClaim, frozen=True, kw_only=True):
    """Record the end of an attempt. jitter: a random number in [0, 1)."""

    outcome: Outcome
    jitter: float
    at_us: int


class Lose(OfClaim, frozen=True, kw_only=True):
    """End an attempt whose worker has died. None of the attempt's processes is running."""


class RetryDead(OfJob, frozen=True, kw_only=True):
    """Requeue a dead job, with a new round of retries."""

    reason: str | None = None


class Retry(OfJob, frozen=True, kw_only=True):
    """Make a job that waits for a time available now; for a dead job the same as RetryDead."""

    reason: str | None = None


class Discard(OfJob, frozen=True, kw_only=True):
    """Remove a dead job from the dead-letter queue without retrying it."""

    reason: str | None = None


class Cancel(OfJob, frozen=True, kw_only=True):
    """Cancel a job: at once if it waits, through its worker if it is running."""

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


class OfWorker(Request, frozen=True, kw_only=True):
    """Base class of all requests about one worker."""

    kind = "worker"
    worker_id: str

    @property
    def stream(self) -> str:
        """The stream of the worker."""
        return named("worker", self.worker_id)


class StartWorker(OfWorker, frozen=True, kw_only=True):
    """Record the start of a worker. Its supervisor holds its lock."""

    started: WorkerStarted


class RequestStop(OfWorker, frozen=True, kw_only=True):
    """Ask a worker to stop after its running jobs (`drain`), or to end them (`now`)."""

    how: Literal["drain", "now"]
    reason: str | None = None


class EndWorker(OfWorker, frozen=True, kw_only=True):
    """Record the orderly end of a worker."""

    reason: Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost", "error"]


class LoseWorker(OfWorker, frozen=True, kw_only=True):
    """Record that a worker has died. found_by: the worker or user that found this, by `how`."""

    found_by: str
    how: Literal["locks", "lease", "person"] = "locks"


WorkerRequest = StartWorker | RequestStop | EndWorker | LoseWorker


class SetConfig(Request, frozen=True, kw_only=True):
    """Set a setting to a value in its stored unit; None resets it to its default."""

    kind = "config"
    key: str
    value: SettingValue | None
    reason: str | None = None

    @property
    def stream(self) -> str:
        """The stream of the configuration."""
        return CONFIG


class RecordContext(Request, frozen=True, kw_only=True):
    """Record a directory and PATH of enqueued jobs, so that their events can refer to it."""

    kind = "context"
    cwd: str
    path: str

    @property
    def stream(self) -> str:
        """The stream of the contexts."""
        return CONTEXT


class MoveLog(Request, frozen=True, kw_only=True):
    """Record that the log continues in another place, which has all its events so far."""

    kind = "log"
    to: str
    """A path, or an address without a password."""
    position: int
    """Position of the last event."""
    hash: str
    """The hash of the last event, in hexadecimal."""

    @property
    def stream(self) -> str:
        """The stream of the log as a whole."""
        return LOG


AnyRequest = JobRequest | WorkerRequest | SetConfig | RecordContext | MoveLog


class AndThen(msgspec.Struct, frozen=True):
    """A decision about several streams: all its events are recorded, or none.

    All requests are decided before anything is recorded, so each must be for another stream. If one
    is refused, all are refused. The cause of their events is the last of `events`.
    """

    events: tuple[Fact, ...]
    """The events of the request's own stream; at least one."""
    requests: tuple[AnyRequest, ...]
