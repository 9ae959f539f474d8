"""The options of a job, each declared once: its key, check, help, and how people see it.

The keys of a job's JSON, the options of `enqueue`, and the lines of `show` and of a job's page are
made from `OPTIONS`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from projections.folds.job import Job

from ..core.settings import SETTINGS
from ..text.durations import exact_duration
from . import job_values as values
from .job_values import Check

PRIORITIES = -1_000_000, 1_000_000


class JobOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option of a job, as users write and see it."""

    key: str
    """The key in JSON; on the command line it has dashes instead of underscores."""
    field: str
    """The field of NewJob that it sets."""
    check: Check
    metavar: str
    help: str
    short: str | None = None
    """The short form on the command line."""
    completion: str | None = None
    """The function of `cli.ui.completion` that completes its value."""
    repeatable: bool = False
    setting: str | None = None
    """The setting whose value is in force if the option is not given."""
    bounds: tuple[int, int] | None = None
    """The lowest and highest value of a whole number without a setting."""
    label: str = ""
    """The word that is shown before its value."""
    shown: Callable[[Job], str | None] | None = None
    """Returns the text that people see for a job; None if they see no line for it."""


def option_lines(job: Job) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each option of a job that is shown to people."""
    for option in OPTIONS:
        if option.shown and (text := option.shown(job)):
            yield option.label, text


def _of_setting(key: str, metavar: str, help_: str, **more: Any) -> JobOption:
    """Return the option that overrides a setting."""
    return JobOption(
        key=key.replace("-", "_"),
        field=SETTINGS[key].field,
        check=values.of_setting(key),
        metavar=metavar,
        help=help_,
        setting=key,
        **more,
    )


def _in_words(key: str, words: str = "{}") -> Callable[[Job], str]:
    """Return a function that formats the value that a job has for a setting, for `shown`.

    words: the text around the value.
    """
    setting = SETTINGS[key]
    return lambda job: words.format(setting.show(getattr(job.spec, setting.field) or 0))


def _retries(job: Job) -> str:
    spec = job.spec
    again = f", round {job.round}" if job.round > 1 else ""
    jitter = f", jitter {spec.jitter:g}" if spec.jitter else ""
    most = exact_duration(spec.backoff_max_us)
    return (
        f"{job.retries_used} of {spec.max_retries} used{again};"
        f" retry k after {spec.backoff_base:g} ** k seconds, at most {most}{jitter}"
    )


def _success(job: Job) -> str | None:
    from ..text.exit_lists import successes_text

    if job.spec.success_exit == (0,) and not job.spec.success_signal:
        return None
    return successes_text(job.spec.success_exit, job.spec.success_signal)


def _no_retry(job: Job) -> str | None:
    from ..text.exit_lists import endings_text

    text = endings_text(job.spec.no_retry_exit, job.spec.no_retry_signal)
    return f"after {text}" if text else None


def _background(job: Job) -> str | None:
    return "processes that it leaves running are kept" if job.spec.background == "keep" else None


OPTIONS = (
    JobOption(
        key="id",
        field="id",
        check=values.job_id,
        metavar="ID",
        help="Custom job ID. Enqueueing the same job with the same ID again does nothing.",
    ),
    JobOption(
        key="name",
        field="name",
        check=values.short_text,
        metavar="TEXT",
        help="Human-readable name.",
    ),
    JobOption(
        key="tag",
        field="tags",
        check=values.tags,
        metavar="K=V",
        help="Add a tag (repeatable).",
        short="-t",
        completion="tags",
        repeatable=True,
    ),
    JobOption(
        key="queue",
        field="queue",
        check=values.name_of_queue,
        metavar="Q",
        help="Queue name [default: default].",
        short="-q",
        completion="queues",
    ),
    JobOption(
        key="priority",
        field="priority",
        check=values.whole(*PRIORITIES),
        metavar="N",
        help="Priority; higher runs first [default: 0].",
        bounds=PRIORITIES,
    ),
    JobOption(
        key="delay",
        field="delay_us",
        check=values.duration,
        metavar="D",
        help="Wait this long before the first run: 90 (seconds), 5m, 1h30m.",
    ),
    JobOption(
        key="run_at",
        field="run_at_us",
        check=values.text,
        metavar="WHEN",
        help="Run no earlier than this time: 14:05, 'tomorrow 9:00', ISO 8601.",
    ),
    _of_setting(
        "max-retries",
        "N",
        "Retries after the first attempt.",
        label="retries",
        shown=_retries,
    ),
    _of_setting("backoff-base", "B", "Exponential backoff base: retry k waits B**k seconds."),
    _of_setting("backoff-max", "D", "Maximum delay between retries."),
    _of_setting("jitter", "F", "Randomize this fraction of each delay (0 to 1)."),
    JobOption(
        key="no_retry_exit",
        field="no_retry_exit",
        check=values.endings,
        metavar="CODES",
        help="Do not retry after these exit codes or signals: 64,SIGKILL; 137 is also signal 9.",
        label="no retry",
        shown=_no_retry,
    ),
    JobOption(
        key="success_exit",
        field="success_exit",
        check=values.successes,
        metavar="CODES",
        help="Also count these as success (besides 0): 3,SIGTERM; 'only:3' excludes 0.",
        label="success",
        shown=_success,
    ),
    _of_setting(
        "timeout",
        "D",
        "Stop an attempt after this long ('none': no limit).",
        label="timeout",
        shown=_in_words("timeout"),
    ),
    _of_setting(
        "grace",
        "D",
        "Time between SIGTERM and SIGKILL.",
        label="grace",
        shown=_in_words("grace", "{} from TERM to KILL"),
    ),
    _of_setting(
        "output-limit",
        "SIZE",
        "Maximum output to keep per attempt, its beginning and its end: 512K, 10M.",
        label="output",
        shown=_in_words("output-limit", "at most {} of each attempt are kept"),
    ),
    JobOption(
        key="cwd",
        field="cwd",
        check=values.directory,
        metavar="DIR",
        help="Working directory [default: current].",
        completion="folders",
    ),
    JobOption(
        key="background",
        field="background",
        check=values.background,
        metavar="end|keep",
        help="End processes that a finished job leaves running, or keep them [default: end].",
        completion="background",
        label="background",
        shown=_background,
    ),
    JobOption(
        key="env",
        field="env",
        check=values.variables,
        metavar="K=V",
        help="Set an environment variable (repeatable).",
        repeatable=True,
    ),
)
