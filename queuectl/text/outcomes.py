"""Describe how an attempt ended, in the same few words in every list, message and page."""

from collections.abc import Iterable

from eventstore.events.job import Cancelled, Failed, Succeeded, Usage
from projections.read_models.runs import Run

from .durations import duration
from .sizes import size

_REASONS = {
    "timeout": "timed out",
    "not-found": "command not found",
    "not-executable": "not executable",
    "no-directory": "no such working directory",
    "launch": "could not be started",
}
_SELF_CONTAINED = ("not-found", "not-executable")
"""Reasons whose recorded error is a complete description: `ffmpeg: command not found`."""
_ERROR_AFTER = {"no-directory": "working directory", "launch": "could not be started:"}


def signal_name(number: int) -> str:
    """Return the name of a signal: `SIGKILL`; `signal:40` for a number without a name."""
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"signal:{number}"


def how_ended(
    reason: str | None, exit_code: int | None, signal: int | None, error: str | None = None
) -> str:
    """Describe how an attempt ended: `exit 1`, `signal 9 (SIGKILL)`, `timed out`.

    reason: the recorded reason of a failure; None if the attempt did not fail. error: the recorded
    error message of the system, if any: `ffmpeg: command not found`.
    """
    if error and reason in _SELF_CONTAINED:
        return error
    if error and reason in _ERROR_AFTER:
        return f"{_ERROR_AFTER[reason]} {error}"
    if reason not in (None, "exit", "signal"):
        return _REASONS.get(reason, reason.replace("-", " "))
    if signal is not None:
        name = signal_name(signal)
        return f"signal {signal} ({name})" if name.startswith("SIG") else f"signal {signal}"
    return "ended" if exit_code is None else f"exit {exit_code}"


def stragglers(count: int | None, names: Iterable[str] | None) -> str:
    """Describe processes that an attempt left: `ended 2 background processes: gpg-agent, sleep`.

    Empty if it left none.
    """
    if not count:
        return ""
    ended = f"ended {count:,} background process{'' if count == 1 else 'es'}"
    return f"{ended}: {', '.join(names)}" if names else ended


def outcome_word(run: Run) -> str:
    """Return the outcome in one or two words: `succeeded`, `failed`, `timed out`, `running`."""
    if run.outcome == "failed" and run.reason in ("timeout", "worker-lost", "worker-stopped"):
        return how_ended(run.reason, None, None)
    return run.outcome or "running"


def outcome(run: Run) -> str:
    """Return the outcome and its details: `failed: exit 1`, `succeeded: exit 3`."""
    words = outcome_word(run)
    if words == "failed":
        return f"failed: {how_ended(run.reason, run.exit_code, run.signal, run.error)}"
    if words == "succeeded" and (run.exit_code or run.signal):
        return f"succeeded: {how_ended(None, run.exit_code, run.signal)}"
    return words


def ending(event: Usage) -> str:
    """Return how an attempt ended, after how long, and which processes it left behind.

    `exit 1 after 38s; ended 1 background process: sleep`
    """
    words = _how_ended(event)
    if event.duration_us:
        words += f" after {duration(event.duration_us)}"
    processes = stragglers(event.stragglers, event.straggler_names)
    return f"{words}; {processes}" if processes else words


def memory(exact_bytes: int | None, below_bytes: int | None) -> str:
    """Return peak memory as `8.2 MB`, or `< 30 MB` if only a bound is known; else empty."""
    if exact_bytes is not None:
        return size(exact_bytes)
    return "" if below_bytes is None else f"< {size(below_bytes)}"


def _how_ended(event: Usage) -> str:
    match event:
        case Failed():
            return how_ended(event.reason, event.exit_code, event.signal, event.error)
        case Cancelled() | Succeeded():
            return how_ended(None, event.exit_code, event.signal)
        case _:
            return "ended"
