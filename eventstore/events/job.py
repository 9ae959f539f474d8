"""All events of a job."""

from typing import Annotated, Literal

from msgspec import Meta

from .fact import Fact

Exit = Annotated[int, Meta(ge=0, le=255)]
Signal = Annotated[int, Meta(ge=1, le=128)]
Count = Annotated[int, Meta(ge=0)]

FailureReason = Literal[
    "exit",  # ended by itself, with an exit code that is not a success
    "signal",  # ended by a signal that the worker did not send
    "timeout",  # ran longer than its timeout and was ended
    "not-found",  # no such program
    "not-executable",  # the program exists, but may not be executed
    "no-directory",  # the working directory is missing or may not be entered
    "launch",  # the system refused to start it for another reason, given in `error`
    "worker-lost",  # its worker died; the attempt's end is unknown and never a success
    "worker-stopped",  # ended because its worker was stopped, or a shutdown ended both
]


class Usage(Fact, frozen=True, kw_only=True):
    """The resources that an attempt used, its output and stragglers, as measured at its end."""

    duration_us: Count = 0
    """From launch to the end of its main process, by the monotonic clock."""
    cpu_us: Count = 0
    """User and system time of the main process and the children it waited for."""
    memory_bytes: Count | None = None
    """Peak resident memory; null if it is not above the worker's own, which the kernel includes."""
    memory_below_bytes: Count | None = None
    """If `memory_bytes` is null: an upper limit of the peak; null if unknown."""
    output_bytes: Count = 0
    """Size of its output, whether kept or not."""
    kept_bytes: Count = 0
    """Size of the output that was kept."""
    output_sha256: str | None = None
    """Hex digest of the output that was kept; null if none was."""
    stragglers: Count = 0
    """Number of processes that it left behind and that were ended with it."""
    straggler_names: tuple[str, ...] = ()
    """Names of their programs, each once, at most ten."""


class Enqueued(Fact, frozen=True, kw_only=True):
    """A job was accepted, with the policy in force for it."""

    command: str
    """Shell text for `sh -c`; with `argv` its `shlex.join`, for people to read."""
    max_retries: Count
    """Retries after the first attempt."""
    backoff_base: float
    """The delay before retry k is `backoff_base ** k` seconds."""
    argv: tuple[str, ...] | None = None
    """An argument list that is run without a shell; null for shell text."""
    name: str | None = None
    queue: str = "default"
    priority: int = 0
    """Higher runs first."""
    tags: dict[str, str] = {}
    due_at_us: int | None = None
    """When it may first run; null means at once."""
    delay_us: Count | None = None
    """The delay from which `due_at_us` was computed; null if the user gave a time, or none."""
    backoff_max_us: Count = 3_600_000_000
    jitter: float = 0.0
    """The fraction of each delay that is drawn at random: 0 none, 1 all of it."""
    timeout_us: Count | None = None
    """Longest run of one attempt; null means no limit."""
    grace_us: Count = 10_000_000
    """Time between SIGTERM and SIGKILL."""
    output_limit_bytes: Count = 10_485_760
    success_exit: tuple[Exit, ...] = (0,)
    """Exit codes that count as success. 128 + n also means signal n, as in a shell."""
    no_retry_exit: tuple[Exit, ...] = ()
    """Exit codes after which the job is dead at once, without a retry. 128 + n as above."""
    success_signal: tuple[Signal, ...] = ()
    """Signals that count as success if they end the attempt."""
    no_retry_signal: tuple[Signal, ...] = ()
    """Signals after which the job is dead at once, without a retry."""
    context: Count = 0
    """Position of the `context-recorded` event with its directory and PATH; 0 means none."""
    env: dict[str, str] = {}
    background: Literal["end", "keep"] = "end"
    """What happens to processes that an attempt leaves behind when it ends by itself."""
    request_sha256: str | None = None
    """Digest of the request, if the client chose the id: equal requests have equal digests."""


class FellDue(Fact, frozen=True, kw_only=True):
    """A delayed job became due."""


class Claimed(Fact, frozen=True, kw_only=True):
    """A worker took the job. It starts the command only after this event is in the log."""

    attempt: Count
    worker: str
    slot: Count
    waited_us: Count = 0
    """Time since it last became pending."""


class Released(Fact, frozen=True, kw_only=True):
    """The claim was released before the attempt began; the next claim has the same number."""

    attempt: Count
    reason: str


class Succeeded(Usage, frozen=True, kw_only=True):
    """The attempt ended with an exit code or by a signal that counts as success."""

    attempt: Count
    exit_code: Exit | None = 0
    """Null if a signal ended it."""
    signal: Signal | None = None


class Failed(Usage, frozen=True, kw_only=True):
    """The attempt did not succeed, or how it ended is unknown."""

    attempt: Count
    reason: FailureReason
    exit_code: Exit | None = None
    signal: Signal | None = None
    error: str | None = None
    """The system's error message, if it could not be started."""
    counted: bool = True
    """True if the failure uses up a retry."""


class ScheduledRetry(Fact, frozen=True, kw_only=True):
    """The retry after `attempt` was scheduled."""

    attempt: Count
    retry: Count
    """Number of the retry in this round: 1 is the first."""
    delay_us: Count
    """As chosen, jitter included: replay draws no random numbers."""
    due_at_us: int


class Rescheduled(Fact, frozen=True, kw_only=True):
    """A delay began again, because the clock was set back to a time before its beginning."""

    delay_us: Count
    """Length of the delay, unchanged."""
    due_at_us: int
    why: Literal["clock-set-back"]


class Dead(Fact, frozen=True, kw_only=True):
    """The job is in the dead-letter queue: it runs again only if a user retries it."""

    attempt: Count
    reason: Literal["retries-used-up", "no-retry-exit", "worker-lost"]


class Requeued(Fact, frozen=True, kw_only=True):
    """The job is pending again."""

    why: Literal["retry-due", "dlq", "worker-lost", "worker-stopped", "asked"]
    """`dlq` begins a new round with all retries unused; `asked` ends a wait within the round."""
    reason: str | None = None
    """The reason that a person gave, with `dlq` and `asked`."""


class CancelRequested(Fact, frozen=True, kw_only=True):
    """A user cancelled a running job; its worker ends it."""

    attempt: Count
    reason: str | None = None


class Cancelled(Usage, frozen=True, kw_only=True):
    """The job was cancelled; it will not run again."""

    attempt: Count | None = None
    """The attempt that was ended; null for a job that was waiting."""
    reason: str | None = None
    exit_code: Exit | None = None
    signal: Signal | None = None


JobEvent = (
    Enqueued
    | FellDue
    | Claimed
    | Released
    | Succeeded
    | Failed
    | ScheduledRetry
    | Rescheduled
    | Dead
    | Requeued
    | CancelRequested
    | Cancelled
)
