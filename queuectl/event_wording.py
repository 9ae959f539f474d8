"""Descriptions of events in a few words, for users."""

from typing import assert_never

from eventstore.events.config import ConfigChanged, ConfigEvent
from eventstore.events.context import ContextEvent, ContextRecorded
from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    FellDue,
    Released,
    Requeued,
    Rescheduled,
    ScheduledRetry,
    Succeeded,
)
from eventstore.events.log import LogEvent, LogMoved
from eventstore.events.recorded import Event
from eventstore.events.worker import (
    StopRequested,
    WorkerEvent,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)
from projections.folds.config import SettingValue

from .core.settings import SETTINGS
from .text.durations import duration
from .text.numbers import plural
from .text.outcomes import ending

STOPS = {"drain": "finish running jobs", "now": "stop running jobs"}
"""What a worker does with its jobs after each kind of stop request."""

LOST = {
    "locks": "found dead by {}",
    "lease": "did not beat for its lease; found by {}",
    "person": "forgotten by {}",
}
"""How a worker was lost, by what showed it."""


def event_text(event: Event, spec: Enqueued | None = None) -> str:
    """Describe an event without its type: `attempt 2, waited 1.5s` for `claimed`.

    spec: the options of its job, if known; some descriptions are more precise with them.
    """
    match event:
        case Enqueued():
            return _enqueued(event)
        case FellDue():
            return "due"
        case Claimed():
            return f"attempt {event.attempt}, waited {duration(event.waited_us)}"
        case Released():
            return f"attempt {event.attempt} not started: {event.reason}"
        case Succeeded():
            return ending(event)
        case Failed():
            return ending(event) + ("" if event.counted else ", not counted as a retry")
        case ScheduledRetry():
            return _scheduled(event, spec)
        case Rescheduled():
            return f"the clock was set back; waits {duration(event.delay_us)} from now"
        case Dead():
            return _dead(event, spec)
        case Requeued():
            return _with_reason(_requeued(event), event.reason)
        case CancelRequested():
            return _with_reason(f"attempt {event.attempt}", event.reason)
        case Cancelled():
            how = "while waiting" if event.attempt is None else ending(event)
            return _with_reason(how, event.reason)
        case _:
            return _of_other_streams(event)


def _of_other_streams(event: WorkerEvent | ConfigEvent | ContextEvent | LogEvent) -> str:
    match event:
        case WorkerStarted():
            return f"{event.name}, {plural(event.slots, 'slot')}, pid {event.pid} on {event.host}"
        case StopRequested():
            return _with_reason(STOPS[event.how], event.reason)
        case WorkerStopped():
            return event.reason.replace("-", " ")
        case WorkerLost():
            return LOST[event.how].format(event.found_by)
        case ConfigChanged():
            before, after = _value(event.key, event.before), _value(event.key, event.value)
            return _with_reason(f"{event.key}: {before} → {after}", event.reason)
        case ContextRecorded():
            return event.cwd
        case LogMoved():
            return f"continues in {event.to}"
        case _:
            assert_never(event)


def _value(key: str, value: SettingValue | None) -> str:
    """Return a setting's value as users type it; unchanged, if this version lacks the setting."""
    if value is None:
        return "default"
    setting = SETTINGS.get(key)
    return str(value) if setting is None else setting.show(value)


def _requeued(event: Requeued) -> str:
    if event.why == "dlq":
        return "dlq retry"
    if event.why == "asked":
        return "run now"
    return event.why.replace("-", " ")


def _enqueued(event: Enqueued) -> str:
    words = f"queue {event.queue}, {plural(event.max_retries, 'retry', 'retries')}"
    return f"{words}, priority {event.priority}" if event.priority else words


def _scheduled(event: ScheduledRetry, spec: Enqueued | None) -> str:
    words = f"in {duration(event.delay_us)}"
    if spec is None:
        return f"{words}, retry {event.retry}"
    exact = event.delay_us == spec.backoff_base**event.retry * 1_000_000
    power = f" ({spec.backoff_base:g} ** {event.retry})" if exact else ""
    return f"{words}{power}, retry {event.retry} of {spec.max_retries}"


def _dead(event: Dead, spec: Enqueued | None) -> str:
    if event.reason == "worker-lost":
        return "worker lost three times in a row"
    if event.reason != "retries-used-up":
        return event.reason.replace("-", " ")
    if spec is None:
        return "retries used up"
    return f"retries used up ({spec.max_retries} of {spec.max_retries})"


def _with_reason(words: str, reason: str | None) -> str:
    return f"{words}: {reason}" if reason else words
