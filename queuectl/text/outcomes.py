"""How an attempt ended, in a few words: the same ones in every list, message and page."""

from collections.abc import Iterable

_REASONS = {
    "timeout": "timed out",
    "not-found": "command not found",
    "not-executable": "not executable",
    "no-directory": "no such working directory",
    "launch": "could not be started",
}
_SELF_CONTAINED = ("not-found", "not-executable")
"""Reasons whose recorded error says all: `ffmpeg: command not found`."""
_ERROR_AFTER = {"no-directory": "working directory", "launch": "could not be started:"}


def signal_name(number: int) -> str:
    """`SIGKILL`; `signal:40` for a number without a name."""
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"signal:{number}"


def manner(
    reason: str | None, exit_code: int | None, signal: int | None, error: str | None = None
) -> str:
    """`exit 1`, `signal 9 (SIGKILL)`, `timed out`, `ffmpeg: command not found`.

    reason: of a failure, as recorded; None for other ends. error: the system's words, if any.
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
    """`ended 2 background processes: gpg-agent, sleep`; empty if the attempt left none."""
    if not count:
        return ""
    ended = f"ended {count:,} background process{'' if count == 1 else 'es'}"
    return f"{ended}: {', '.join(names)}" if names else ended
