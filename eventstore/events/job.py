"""All that can happen to a job."""

from typing import Annotated, Literal

from msgspec import Meta

from .fact import Fact

Exit = Annotated[int, Meta(ge=0, le=255)]
Signal = Annotated[int, Meta(ge=1, le=128)]
Count = Annotated[int, Meta(ge=0)]

FailureReason = Literal[
    "exit",  # ended by itself, with an exit code that is not a success
    "signal",  # ended by a signal that we did not send
    "timeout",  # ran longer than its timeout and was ended
    "not-found",  # no such program
    "not-executable",  # there, but may not be executed
    "no-directory",  # the working directory is gone or may not be entered
    "launch",  # the system refused to start it for another reason, told in `error`
    "worker-lost",  # its worker died; how it ended is unknown, and never a success
    "worker-stopped",  # ended because its worker was told to stop, or by a shutdown of both
]


class Usage(Fact, frozen=True, kw_only=True):
    """What an attempt used and left, as measured at its end."""

    duration_us: Count = 0
    """From launch to the end of its main process, by the monotonic clock."""
    cpu_us: Count = 0
    """User and system time of the main process and the children it waited for."""
    memory_bytes: Count | None = None
    """Peak resident memory; null if not above the worker's own, which the kernel counts in."""
    memory_below_bytes: Count | None = None
    """If `memory_bytes` is null: what the peak did not exceed; null if unknown."""
    output_bytes: Count = 0
    """All it printed, kept or not."""
    kept_bytes: Count = 0
    """What of its output was kept."""
    output_sha256: str | None = None
    """Hex digest of what was kept; null when nothing was."""
    stragglers: Count = 0
    """Processes that it left behind, ended with it."""
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
    """An argument list that no shell sees; null for shell text."""
    name: str | None = None
    queue: str = "default"
    priority: int = 0
    """Higher runs first."""
    tags: dict[str, str] = {}
    due_at_us: int | None = None
    """When it may first run; null is at once."""
    delay_us: Count | None = None
    """The delay that `due_at_us` came from; null if a time was given, or none."""
    backoff_max_us: Count = 3_600_000_000
    jitter: float = 0.0
    """The part of each delay that is drawn at random: 0 none, 1 all of it."""
    timeout_us: Count | None = None
    """Longest run of one attempt; null is without end."""
    grace_us: Count = 10_000_000
    """From TERM to KILL."""
    output_limit_bytes: Count = 10_485_760
    success_exit: tuple[Exit, ...] = (0,)
    """Exit codes that count as success. 128 + n also stands for signal n, as in a shell."""
    no_retry_exit: tuple[Exit, ...] = ()
    """Exit codes after which no retry makes sense: dead at once. 128 + n as above."""
    success_signal: tuple[Signal, ...] = ()
    """Signals that count as success if they end the attempt."""
    no_retry_signal: tuple[Signal, ...] = ()
    """Signals after which no retry makes sense: dead at once."""
    context: Count = 0
    """Position of the `context-recorded` event with its directory and PATH; 0 is none."""
    env: dict[str, str] = {}
    background: Literal["end", "keep"] = "end"
    """What happens to processes that an attempt leaves behind when it ends by itself."""
    request_sha256: str | None = None
    """Digest of the request, if the client chose the id: equal requests have equal digests."""


class FellDue(Fact, frozen=True, kw_only=True):
    """A delayed job became due."""


class Claimed(Fact, frozen=True, kw_only=True):
    """A worker took the job; nothing runs before this is in the log."""

    attempt: Count
    worker: str
    slot: Count
    waited_us: Count = 0
    """Since it last became pending."""


class Released(Fact, frozen=True, kw_only=True):
    """Claimed, not begun, given back: it never ran, and the next claim has its number."""

    attempt: Count
    reason: str


class Succeeded(Usage, frozen=True, kw_only=True):
    """The attempt ended with an exit code or by a signal that counts as success."""

    attempt: Count
    exit_code: Exit | None = 0
    """Null if a signal ended it."""
    signal: Signal | None = None


class Failed(Usage, frozen=True, kw_only=True):
    """The attempt ended otherwise, or its end is unknown."""

    attempt: Count
    reason: FailureReason
    exit_code: Exit | None = None
    signal: Signal | None = None
    error: str | None = None
    """The error of the system, if it could not be started."""
    counted: bool = True
    """Whether it uses up a retry."""


class ScheduledRetry(Fact, frozen=True, kw_only=True):
    """The retry after `attempt` was scheduled."""

    attempt: Count
    retry: Count
    """Which retry of this round it will be: 1 is the first."""
    delay_us: Count
    """As chosen, jitter included: replay draws nothing."""
    due_at_us: int


class Rescheduled(Fact, frozen=True, kw_only=True):
    """A wait for a delay began again: the clock showed a time before the wait had begun."""

    delay_us: Count
    """The same as before."""
    due_at_us: int
    why: Literal["clock-set-back"]


class Dead(Fact, frozen=True, kw_only=True):
    """It will not be tried again unless a user retries it: it is in the dead-letter queue."""

    attempt: Count
    reason: Literal["retries-used-up", "no-retry-exit", "worker-lost"]


class Requeued(Fact, frozen=True, kw_only=True):
    """It may be claimed again."""

    why: Literal["retry-due", "dlq", "worker-lost", "worker-stopped", "asked"]
    """`dlq` opens a new round with all retries unused; `asked` ended a wait and keeps the round."""
    reason: str | None = None
    """A person's words, with `dlq` and `asked`."""


class CancelRequested(Fact, frozen=True, kw_only=True):
    """A user cancelled a running job; its worker ends it."""

    attempt: Count
    reason: str | None = None


class Cancelled(Usage, frozen=True, kw_only=True):
    """It was cancelled; it will not run again."""

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
