"""The JSON documents that both commands and pages return, and functions that build them.

Times are RFC 3339 in UTC, durations in seconds, sizes in bytes; absent values are null.
"""

from typing import Any

import msgspec

from eventstore.events.job import Enqueued
from eventstore.events.recorded import Recorded
from eventstore.store import Head
from projections.folds.context import Context
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models.counts import Counts
from projections.read_models.runs import Run

from .text.timestamps import instant, rfc3339

SCHEMA_VERSION = 1


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of all shapes."""


class Document(Shape, frozen=True, kw_only=True):
    """The fields of every document. `position`: the last position of the log when it was read."""

    schema: int = SCHEMA_VERSION
    position: int


class JobShape(Shape, frozen=True, kw_only=True):
    """A job in a list."""

    id: str
    state: str
    command: str
    argv: tuple[str, ...] | None
    name: str | None
    queue: str
    priority: int
    tags: dict[str, str]
    attempt: int
    """Number of the last attempt; 0 before the first."""
    begun: int
    """Number of attempts that have begun or are about to."""
    retries_used: int
    max_retries: int
    enqueued_at: str
    changed_at: str
    """When the job entered its state."""
    due_at: str | None
    """When the job becomes pending, such as a failed job for its retry."""
    worker: str | None
    failure: str | None
    exit_code: int | None
    signal: int | None
    cancel_requested: bool


class JobPage(Document, frozen=True, kw_only=True):
    """`list`: jobs, newest first. `next`: cursor of the page after this one."""

    jobs: list[JobShape]
    next: str | None


class PolicyShape(Shape, frozen=True, kw_only=True):
    """The policy in force for a job."""

    backoff_base: float
    backoff_max_s: float
    jitter: float
    timeout_s: float | None
    grace_s: float
    output_limit_bytes: int
    success_exit: tuple[int, ...]
    success_signal: tuple[int, ...]
    no_retry_exit: tuple[int, ...]
    no_retry_signal: tuple[int, ...]
    cwd: str | None
    path: str | None
    """The PATH in which programs are searched; null if it is the worker's own."""
    env: dict[str, str]
    background: str
    """`end` or `keep`: what happens to processes that an attempt leaves behind."""


class RunShape(Shape, frozen=True, kw_only=True):
    """An attempt. The fields after `waited_s` are null while it runs.

    If its worker was lost, the fields from `duration_s` on stay null: nothing was measured.
    """

    attempt: int
    worker: str
    slot: int
    claimed_at: str
    waited_s: float
    ended_at: str | None
    outcome: str | None
    """`succeeded`, `failed` or `cancelled`."""
    reason: str | None
    exit_code: int | None
    signal: int | None
    error: str | None
    duration_s: float | None
    cpu_s: float | None
    memory_bytes: int | None
    memory_below_bytes: int | None
    """An upper bound of the peak memory, if `memory_bytes` is null."""
    output_bytes: int | None
    kept_bytes: int | None
    stragglers: int | None
    """Number of background processes that were ended with the attempt."""
    straggler_names: tuple[str, ...] | None


class JobDetail(JobShape, frozen=True, kw_only=True):
    """A job with its policy and its attempts."""

    policy: PolicyShape
    attempts: list[RunShape]


class JobDocument(Document, frozen=True, kw_only=True):
    """`show`: one job."""

    job: JobDetail


class EventShape(Shape, frozen=True, kw_only=True):
    """A recorded event. `data` is exactly as stored."""

    position: int
    stream: str
    version: int
    type: str
    recorded_at: str
    actor: str
    batch: int
    cause: int | None
    data: msgspec.Raw
    hash: str


class EventPage(Document, frozen=True, kw_only=True):
    """`events` and `history`: recorded events; `--dry-run`: events that would be recorded.

    `next`: cursor of the page after this one.
    """

    events: list[EventShape]
    next: str | None


class WorkerShape(Shape, frozen=True, kw_only=True):
    """A worker: one supervisor process, from its start to its end."""

    id: str
    name: str
    state: str
    """The state in the log: `running`, `stopping`, `stopped` or `lost`."""
    alive: bool
    """False if it has ended, or if it died and no other worker has taken over its jobs yet.

    A worker on another machine, of a queue on a server, counts as alive if it has shown so within
    its lease, by the server's clock.
    """
    host: str
    pid: int
    slots: int
    queues: tuple[str, ...]
    """The queues that the worker serves; empty if it serves all."""
    started_at: str
    ended_at: str | None
    ended: str | None
    """Why the worker ended."""
    jobs: tuple[str, ...] = ()
    """Ids of the jobs that it has claimed."""


class WorkerPage(Document, frozen=True, kw_only=True):
    """`worker list`: workers."""

    workers: list[WorkerShape]


class SettingShape(Shape, frozen=True, kw_only=True):
    """A setting as a person types it."""

    key: str
    value: str
    default: str
    help: str


class Metrics(Shape, frozen=True, kw_only=True):
    """Numbers of all jobs and attempts so far."""

    total_jobs: int
    success_runs: int
    failed_runs: int


class OldestWaiting(Shape, frozen=True, kw_only=True):
    """The pending job that has waited longest."""

    id: str
    since: str


class Status(Document, frozen=True, kw_only=True):
    """`status`: the figures of all queues.

    `head_hash`: hash of the log's last record; keep it elsewhere with `position`.
    """

    counts: dict[str, int]
    metrics: Metrics
    workers: list[WorkerShape]
    """The workers whose end is not recorded; see `alive`."""
    oldest_waiting: OldestWaiting | None
    next_due_at: str | None
    head_hash: str


class CheckShape(Shape, frozen=True, kw_only=True):
    """The result of one check of `doctor`."""

    check: str
    level: str
    """`ok`, `note` (worth knowing) or `problem` (exit code 1)."""
    well: bool
    """Whether `level` is not `problem`."""
    found: str
    todo: str | None
    """How to solve the problem."""


class Checkup(Document, frozen=True, kw_only=True):
    """`doctor`: all checks. `position` is 0 and `head_hash` null if the queue cannot be opened.

    On a server, `wal_bytes` is 0, and `free_bytes` and `fsync_s` are null: they are of a file.
    """

    well: bool
    db: str
    why: str
    """How the file was chosen: `--db`, `QUEUECTL_DB`, `working directory` or `your own`."""
    versions: dict[str, str]
    head_hash: str | None
    wal_bytes: int
    free_bytes: int | None
    fsync_s: float | None
    """Median duration of a few fsyncs; null if the folder may not be written."""
    checks: list[CheckShape]


def seconds(us: int | None) -> float | None:
    """Convert microseconds to seconds; None stays None."""
    return None if us is None else us / 1_000_000


def job_shape(job: Job) -> JobShape:
    """Return a job for a list."""
    spec = job.spec
    return JobShape(
        id=job.id,
        state=job.state,
        command=spec.command,
        argv=spec.argv,
        name=spec.name,
        queue=spec.queue,
        priority=spec.priority,
        tags=spec.tags,
        attempt=job.attempt,
        begun=job.attempts,
        retries_used=job.retries_used,
        max_retries=spec.max_retries,
        enqueued_at=rfc3339(job.enqueued_at_us),
        changed_at=rfc3339(job.changed_at_us),
        due_at=instant(job.due_at_us),
        worker=job.worker,
        failure=job.failure,
        exit_code=job.exit_code,
        signal=job.signal,
        cancel_requested=job.cancel_requested,
    )


def policy_shape(job: Job, context: Context | None) -> PolicyShape:
    """Return the policy of a job. context: the directory and PATH that were recorded with it."""
    spec = job.spec
    return PolicyShape(
        cwd=context.cwd if context else None,
        path=path_of(spec, context),
        **{name: _option(spec, name) for name in _OPTIONS_IN_FORCE},
    )


_OPTIONS_IN_FORCE = [name for name in PolicyShape.__struct_fields__ if name not in ("cwd", "path")]


def _option(spec: Enqueued, name: str) -> Any:
    """Return the value of the field `name` of PolicyShape; `…_s` is in seconds."""
    if name.endswith("_s"):
        return seconds(getattr(spec, name.removesuffix("_s") + "_us"))
    return getattr(spec, name)


def path_of(spec: Enqueued, context: Context | None) -> str | None:
    """Return the PATH of a job: its own, else its context's; None if it uses the worker's PATH."""
    return spec.env.get("PATH") or (context.path if context else None)


def run_shape(run: Run) -> RunShape:
    """Return an attempt for a list."""
    return RunShape(
        attempt=run.attempt,
        worker=run.worker,
        slot=run.slot,
        claimed_at=rfc3339(run.claimed_at_us),
        waited_s=run.waited_us / 1_000_000,
        ended_at=instant(run.ended_at_us),
        outcome=run.outcome,
        reason=run.reason,
        exit_code=run.exit_code,
        signal=run.signal,
        error=run.error,
        duration_s=seconds(run.duration_us),
        cpu_s=seconds(run.cpu_us),
        memory_bytes=run.memory_bytes,
        memory_below_bytes=run.memory_below_bytes,
        output_bytes=run.output_bytes,
        kept_bytes=run.kept_bytes,
        stragglers=run.stragglers,
        straggler_names=run.straggler_names,
    )


def job_detail(job: Job, context: Context | None, runs: list[Run]) -> JobDetail:
    """Return a job with its policy and its attempts. context: as for `policy_shape`."""
    return JobDetail(
        **msgspec.structs.asdict(job_shape(job)),
        policy=policy_shape(job, context),
        attempts=[run_shape(run) for run in runs],
    )


def event_shape(recorded: Recorded) -> EventShape:
    """Return an event for a list."""
    return EventShape(
        position=recorded.position,
        stream=recorded.stream,
        version=recorded.version,
        type=recorded.type,
        recorded_at=rfc3339(recorded.recorded_at_us),
        actor=recorded.actor,
        batch=recorded.batch,
        cause=recorded.cause,
        data=msgspec.Raw(recorded.data.encode()),
        hash=recorded.hash.hex(),
    )


def worker_shape(worker: Worker, *, alive: bool, jobs: tuple[str, ...] = ()) -> WorkerShape:
    """Return a worker for a list. jobs: ids of the jobs that it has claimed."""
    return WorkerShape(
        id=worker.id,
        name=worker.started.name,
        state=worker.state,
        alive=alive,
        host=worker.started.host,
        pid=worker.started.pid,
        slots=worker.started.slots,
        queues=worker.started.queues,
        started_at=rfc3339(worker.started_at_us),
        ended_at=instant(worker.ended_at_us),
        ended=worker.ended,
        jobs=jobs,
    )


def status_shape(
    head: Head,
    counts: Counts,
    workers: list[WorkerShape],
    oldest: Job | None,
    next_due_at_us: int | None,
) -> Status:
    """Return the figures of all queues. oldest: the job that has been pending longest."""
    return Status(
        position=head.position,
        head_hash=head.hash,
        counts={str(state): number for state, number in counts.states.items()},
        metrics=metrics_shape(counts),
        workers=workers,
        oldest_waiting=oldest_waiting_shape(oldest),
        next_due_at=instant(next_due_at_us),
    )


def metrics_shape(counts: Counts) -> Metrics:
    """Return the metrics of a queue, or of all queues."""
    return Metrics(
        total_jobs=counts.total_jobs,
        success_runs=counts.success_runs,
        failed_runs=counts.failed_runs,
    )


def oldest_waiting_shape(job: Job | None) -> OldestWaiting | None:
    """Return the job that has been pending longest; None if no job is pending."""
    return None if job is None else OldestWaiting(id=job.id, since=rfc3339(job.changed_at_us))
