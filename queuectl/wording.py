"""Durations, sizes and events in a few words, for people."""

from typing import assert_never

from eventstore.events.config import ConfigChanged
from eventstore.events.context import ContextRecorded
from eventstore.events.job import (
    Cancelled,
    CancelRequested,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    FailureReason,
    FellDue,
    Released,
    Requeued,
    ScheduledRetry,
    Succeeded,
    Usage,
)
from eventstore.events.recorded import Event
from eventstore.events.worker import StopRequested, WorkerLost, WorkerStarted, WorkerStopped
from projections.read_models.runs import Run

_STEPS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def duration(us: int) -> str:
    """Microseconds as `0.4 ms`, `38.0 s`, `1m 12s`, `3d 4h`: two units at most."""
    us = abs(us)
    if us < 100_000:
        return f"{us / 1000:.1f} ms" if us else "0 s"
    if us < 59_950_000:
        return f"{us / 1_000_000:.1f} s"
    whole = round(us / 1_000_000)
    for size, unit, part, part_unit in _STEPS:
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit} {rest}{part_unit}" if rest else f"{whole // size}{unit}"
    raise AssertionError(us)


def size(count: int) -> str:
    """Bytes as `512 B`, `1.2 MB`, in powers of a thousand."""
    amount = float(count)
    for unit in _SIZES:
        if amount < 999.5 or unit == _SIZES[-1]:
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.3g} {unit}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 retry`, `2 retries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def reason(word: FailureReason | str) -> str:
    """Why an attempt failed: `timed out`, `worker lost`, `no directory`."""
    return "timed out" if word == "timeout" else word.replace("-", " ")


def came_to(run: Run) -> str:
    """What an attempt came to: the reason where there is one beyond exit code and signal."""
    if run.outcome == "failed" and run.reason not in (None, "exit", "signal"):
        return reason(run.reason)
    return run.outcome or "running"


def outcome(run: Run) -> str:
    """The same with how it ended: `failed: exit 1`, `timed out: signal 15`."""
    words = came_to(run)
    if run.error:
        return f"{words}: {run.error}"
    if run.signal is not None:
        return f"{words}: signal {run.signal}"
    return words if run.exit_code is None else f"{words}: exit {run.exit_code}"


def ending(event: Usage) -> str:
    """How an attempt ended: `exit 1 after 38.0 s`."""
    words = _manner(event)
    if event.duration_us:
        words += f" after {duration(event.duration_us)}"
    if event.stragglers:
        words += f", with {plural(event.stragglers, 'process', 'processes')} it left behind"
    return words


def _manner(event: Usage) -> str:
    if isinstance(event, Failed) and event.reason not in ("exit", "signal"):
        words = reason(event.reason)
        return f"{words}: {event.error}" if event.error else words
    if isinstance(event, Failed | Cancelled | Succeeded) and event.signal is not None:
        return f"signal {event.signal}"
    if isinstance(event, Failed | Cancelled | Succeeded) and event.exit_code is not None:
        return f"exit {event.exit_code}"
    return "ended"


def what(event: Event, spec: Enqueued | None = None) -> str:
    """What an event says beyond its type. spec: of its job, where at hand: then it says more."""
    match event:
        case Enqueued():
            return _enqueued(event)
        case FellDue():
            return "its time came"
        case Claimed():
            return f"attempt {event.attempt}, waited {duration(event.waited_us)}"
        case Released():
            return f"attempt {event.attempt} given back: {event.reason}"
        case Succeeded():
            return ending(event)
        case Failed():
            return ending(event) + ("" if event.counted else ", uses no retry")
        case ScheduledRetry():
            return _scheduled(event, spec)
        case Dead():
            return _dead(event, spec)
        case Requeued():
            return _because(_requeued(event), event.reason)
        case CancelRequested():
            return _because(f"attempt {event.attempt}", event.reason)
        case Cancelled():
            how = "while waiting" if event.attempt is None else ending(event)
            return _because(how, event.reason)
        case _:
            return _beside_jobs(event)


def _beside_jobs(event: Event) -> str:
    match event:
        case WorkerStarted():
            return f"{event.name}, {plural(event.slots, 'slot')}, pid {event.pid} on {event.host}"
        case StopRequested():
            return _because({"drain": "finish what runs", "now": "now"}[event.how], event.reason)
        case WorkerStopped():
            return event.reason.replace("-", " ")
        case WorkerLost():
            return f"found dead by {event.found_by}"
        case ConfigChanged():
            before = "default" if event.before is None else event.before
            after = "default" if event.value is None else event.value
            return _because(f"{event.key}: {before} → {after}", event.reason)
        case ContextRecorded():
            return event.cwd
        case _:
            assert_never(event)  # type: ignore[arg-type]


def _requeued(event: Requeued) -> str:
    if event.why == "dlq":
        return "by hand, from the dead-letter queue"
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
    if event.reason != "retries-used-up":
        return event.reason.replace("-", " ")
    if spec is None:
        return "retries used up"
    return f"retries used up ({spec.max_retries} of {spec.max_retries})"


def _because(words: str, reason: str | None) -> str:
    return f"{words}: {reason}" if reason else words
