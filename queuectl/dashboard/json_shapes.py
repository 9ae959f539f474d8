"""The JSON of the pages, where it is more than the commands answer; and how it is made."""

from collections.abc import Callable

import msgspec

from projections.read_models import counts as counts_model
from projections.read_models.throughput import Step
from queuectl.json_shapes import (
    SCHEMA,
    Document,
    EventShape,
    JobPage,
    JobShape,
    Metrics,
    SettingShape,
    Shape,
    Status,
    Waiting,
    job_shape,
    seconds,
)
from queuectl.text.causes import cause_words
from queuectl.text.timestamps import instant, rfc3339

from .causes import Cause
from .cockpit import QueueRow
from .job_list import Listed
from .settings_history import InForce


class ListedJob(JobShape, frozen=True, kw_only=True):
    """A job in a list of the dashboard."""

    duration_s: float | None
    """How long the last attempt ran, or has been running by now; null before the first."""


class ListedJobs(Document, frozen=True, kw_only=True):
    """`/jobs.json`. `next`: `before` of the page after this one."""

    jobs: list[ListedJob]
    next: str | None
    searched_to: int | None
    """Position down to which a search looked; null if it was not interrupted."""
    sorted_among: int | None
    """How many jobs were sorted; null if that is all of them."""


class CauseShape(Shape, frozen=True, kw_only=True):
    """Dead jobs of one queue whose last attempt failed in the same way."""

    cause: str
    """`exit 1`, `signal 9`, or the recorded reason of the failure; `--cause` takes it."""
    queue: str
    jobs: int
    """How many; 10,000 may be more."""
    newest: str
    """Id of the one enqueued last."""
    last_lines: list[str]
    """What that one printed last."""
    retry: str
    """The command that requeues the group."""


class DeadPage(JobPage, frozen=True, kw_only=True):
    """`/dlq.json`: dead jobs, newest first, and the largest groups of them on the first page."""

    causes: list[CauseShape]


class ThroughputShape(Shape, frozen=True, kw_only=True):
    """What happened in one step of a chart."""

    started_at: str
    enqueued: int
    succeeded: int
    failed: int
    """Attempts that failed and counted: not those whose worker was lost or stopped."""


class QueueShape(Shape, frozen=True, kw_only=True):
    """A queue at a glance."""

    name: str
    counts: dict[str, int]
    metrics: Metrics
    oldest_waiting: Waiting | None
    last_hour: ThroughputShape


class QueueList(Document, frozen=True, kw_only=True):
    """`/queues.json`: those with most to do first."""

    queues: list[QueueShape]


class QueueDocument(Document, frozen=True, kw_only=True):
    """`/queues/NAME.json`."""

    queue: QueueShape
    ended_per_minute: float
    """Attempts that ended and counted, per minute, over the last five."""
    running: list[ListedJob]
    waiting: list[ListedJob]
    """In the order in which they will be claimed."""
    causes: list[CauseShape]
    throughput: list[ThroughputShape]
    """In order; a step in which nothing happened is left out."""


class UpcomingPage(Document, frozen=True, kw_only=True):
    """`/upcoming.json`: retries and delayed jobs, soonest first. `next`: `after` of the next."""

    jobs: list[JobShape]
    next: str | None


class SettingInForce(SettingShape, frozen=True, kw_only=True):
    """A setting, and who changed it last."""

    changed_at: str | None
    changed_by: str | None


class SettingsDocument(Document, frozen=True, kw_only=True):
    """`/settings.json`: the settings in force, and a page of their changes, newest first."""

    settings: list[SettingInForce]
    changes: list[EventShape]
    next: str | None


class Overview(Status, frozen=True, kw_only=True):
    """`/status.json`: what `status` answers, and what else the overview shows."""

    ended_per_minute: float
    """Attempts that ended and counted, per minute, over the last five."""
    running: list[ListedJob]
    """Those that have run longest first."""
    queues: list[QueueShape]
    causes: list[CauseShape]
    upcoming: list[JobShape]
    throughput: list[ThroughputShape]
    """Of `?span=hour`, `day` or `week`, in order; a step in which nothing happened is left out."""


class ErrorDocument(Shape, frozen=True, kw_only=True):
    """What an address that ends in `.json` answers instead, with a status of 400 or above."""

    schema: int = SCHEMA
    error: str


def listed_job(row: Listed) -> ListedJob:
    """A job with its duration."""
    return ListedJob(
        **msgspec.structs.asdict(job_shape(row.job)), duration_s=seconds(row.duration_us)
    )


def retry_words(cause: str, queue: str) -> tuple[str, ...]:
    """The command, without the name of the program, that requeues a group of dead jobs."""
    return ("dlq", "retry", "--cause", cause_words(cause), "--queue", queue)


def cause_shape(cause: Cause, command: Callable[..., str]) -> CauseShape:
    """A group of dead jobs. command: makes a command line of words."""
    group = cause.group
    return CauseShape(
        cause=group.cause,
        queue=group.queue,
        jobs=group.jobs,
        newest=cause.newest.id,
        last_lines=cause.tail,
        retry=command(*retry_words(group.cause, group.queue)),
    )


def throughput_shape(step: Step) -> ThroughputShape:
    """A step of a chart."""
    return ThroughputShape(
        started_at=rfc3339(step.started_at_us),
        enqueued=step.enqueued,
        succeeded=step.succeeded,
        failed=step.failed,
    )


def metrics_shape(counts: counts_model.Counts) -> Metrics:
    """The metrics of a queue."""
    return Metrics(
        total_jobs=counts.total_jobs,
        success_runs=counts.success_runs,
        failed_runs=counts.failed_runs,
    )


def queue_shape(row: QueueRow) -> QueueShape:
    """A queue at a glance."""
    oldest = row.oldest
    return QueueShape(
        name=row.name,
        counts={str(state): number for state, number in row.counts.states.items()},
        metrics=metrics_shape(row.counts),
        oldest_waiting=None
        if oldest is None
        else Waiting(id=oldest.id, since=rfc3339(oldest.changed_at_us)),
        last_hour=throughput_shape(row.hour),
    )


def setting_in_force(row: InForce) -> SettingInForce:
    """A setting."""
    return SettingInForce(
        key=row.setting.key,
        value=row.text,
        default=row.setting.show(row.setting.default),
        help=row.setting.help,
        changed_at=instant(row.changed.at_us if row.changed else None),
        changed_by=row.changed.actor if row.changed else None,
    )
