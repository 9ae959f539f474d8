"""The JSON documents that only the dashboard returns, and functions that build them."""

from collections.abc import Callable

import msgspec

from projections.read_models.throughput import Step
from queuectl.json_shapes import (
    SCHEMA_VERSION,
    Document,
    EventShape,
    JobPage,
    JobShape,
    Metrics,
    OldestWaiting,
    SettingShape,
    Shape,
    Status,
    job_shape,
    metrics_shape,
    oldest_waiting_shape,
    seconds,
)
from queuectl.text.causes import cause_words
from queuectl.text.timestamps import instant, rfc3339

from .causes import DeadGroup
from .cockpit import QueueRow
from .job_list import JobRow
from .settings_history import EffectiveSetting


class ListedJob(JobShape, frozen=True, kw_only=True):
    """A job in a list of the dashboard."""

    duration_s: float | None
    """How long the last attempt ran or has been running; null before the first attempt."""


class ListedJobs(Document, frozen=True, kw_only=True):
    """`/jobs.json`: jobs. `next`: the `before` parameter of the page after this one."""

    jobs: list[ListedJob]
    next: str | None
    searched_to: int | None
    """The position where the search stopped because its time was up; null if it did not."""
    sorted_among: int | None
    """How many jobs were sorted; null if this page has all matching jobs, or is in log order."""


class CauseShape(Shape, frozen=True, kw_only=True):
    """Dead jobs of one queue whose last attempt failed in the same way."""

    cause: str
    """`exit 1`, `signal 9`, or the recorded reason of the failure; `--cause` accepts it."""
    queue: str
    jobs: int
    """Number of jobs; 10,000 means 10,000 or more."""
    newest: str
    """Id of the job that was enqueued last."""
    last_lines: list[str]
    """The last lines that the newest job printed."""
    retry: str
    """The command line that requeues the group."""


class DeadPage(JobPage, frozen=True, kw_only=True):
    """`/dlq.json`: dead jobs, newest first, and the largest groups of them on the first page."""

    causes: list[CauseShape]


class ThroughputShape(Shape, frozen=True, kw_only=True):
    """The numbers of one step of a chart."""

    started_at: str
    enqueued: int
    succeeded: int
    failed: int
    """Failed attempts, except attempts whose worker was lost or stopped."""


class QueueShape(Shape, frozen=True, kw_only=True):
    """The figures of one queue."""

    name: str
    counts: dict[str, int]
    metrics: Metrics
    oldest_waiting: OldestWaiting | None
    last_hour: ThroughputShape


class QueueList(Document, frozen=True, kw_only=True):
    """`/queues.json`: the queues; the ones with most unfinished jobs first."""

    queues: list[QueueShape]


class QueueDocument(Document, frozen=True, kw_only=True):
    """`/queues/NAME.json`: one queue."""

    queue: QueueShape
    ended_per_minute: float
    """Attempts that ended per minute, in the last five minutes; counted as in `throughput`."""
    running: list[ListedJob]
    waiting: list[ListedJob]
    """In the order in which they will be claimed."""
    causes: list[CauseShape]
    throughput: list[ThroughputShape]
    """In order; steps in which nothing happened are left out."""


class UpcomingPage(Document, frozen=True, kw_only=True):
    """`/upcoming.json`: retries and delayed jobs, soonest first.

    `next`: the `after` parameter of the next page.
    """

    jobs: list[JobShape]
    next: str | None


class SettingInForce(SettingShape, frozen=True, kw_only=True):
    """A setting in force, and who changed it last."""

    changed_at: str | None
    changed_by: str | None


class SettingsDocument(Document, frozen=True, kw_only=True):
    """`/settings.json`: the settings in force, and a page of their changes, newest first."""

    settings: list[SettingInForce]
    changes: list[EventShape]
    next: str | None


class OverviewDocument(Status, frozen=True, kw_only=True):
    """`/status.json`: the document of `status`, and the rest of the overview."""

    ended_per_minute: float
    """Attempts that ended per minute, in the last five minutes; counted as in `throughput`."""
    running: list[ListedJob]
    """Running jobs; the ones that have run longest first."""
    queues: list[QueueShape]
    causes: list[CauseShape]
    upcoming: list[JobShape]
    throughput: list[ThroughputShape]
    """Of `?span=hour`, `day` or `week`, in order; steps in which nothing happened are left out."""


class ErrorDocument(Shape, frozen=True, kw_only=True):
    """The answer to an address that ends in `.json`, with a status of 400 or above."""

    schema: int = SCHEMA_VERSION
    error: str


def listed_job(row: JobRow) -> ListedJob:
    """Return a job with its duration."""
    return ListedJob(
        **msgspec.structs.asdict(job_shape(row.job)), duration_s=seconds(row.duration_us)
    )


def retry_words(cause: str, queue: str) -> tuple[str, ...]:
    """Return the words after `queuectl` of the command line that requeues a group of dead jobs."""
    return ("dlq", "retry", "--cause", cause_words(cause), "--queue", queue)


def cause_shape(dead_group: DeadGroup, command: Callable[..., str]) -> CauseShape:
    """Return a group of dead jobs. command: formats a command line from its words."""
    group = dead_group.group
    return CauseShape(
        cause=group.cause,
        queue=group.queue,
        jobs=group.jobs,
        newest=dead_group.newest.id,
        last_lines=dead_group.last_lines,
        retry=command(*retry_words(group.cause, group.queue)),
    )


def throughput_shape(step: Step) -> ThroughputShape:
    """Return a step of a chart."""
    return ThroughputShape(
        started_at=rfc3339(step.started_at_us),
        enqueued=step.enqueued,
        succeeded=step.succeeded,
        failed=step.failed,
    )


def queue_shape(row: QueueRow) -> QueueShape:
    """Return the figures of a queue."""
    return QueueShape(
        name=row.name,
        counts={str(state): number for state, number in row.counts.states.items()},
        metrics=metrics_shape(row.counts),
        oldest_waiting=oldest_waiting_shape(row.oldest),
        last_hour=throughput_shape(row.hour),
    )


def setting_in_force(row: EffectiveSetting) -> SettingInForce:
    """Return a setting in force."""
    return SettingInForce(
        key=row.setting.key,
        value=row.text,
        default=row.setting.show(row.setting.default),
        help=row.setting.help,
        changed_at=instant(row.changed.at_us if row.changed else None),
        changed_by=row.changed.actor if row.changed else None,
    )
