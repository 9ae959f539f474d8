"""The cause of a dead job, which is how its last attempt failed: as stored, shown and typed."""

import re
from signal import Signals
from typing import get_args

from eventstore.events.job import FailureReason

from ..errors import BadInput, nearest
from .exit_lists import signal_number
from .outcomes import how_ended

LAST_EXIT_CODE = 255
LAST_RECORDED_SIGNAL = 128
"""The highest signal number on any Linux (MIPS); events accept it too."""

_ERRORS = {
    "command not found": "not-found",
    "the interpreter in its first line": "not-found",
    "not a directory": "not-found",
    "file name too long": "not-found",
    "permission denied": "not-executable",
    "exec format error": "not-executable",
    "is a directory": "not-executable",
}
"""For the last words of a recorded error message, the failure reason recorded with it."""

_HELP = "write 'exit 1', 'signal 9', SIGKILL, 'timed out', 'command not found' or another cause"


def cause_words(cause: str) -> str:
    """Return a cause as lists and pages show it: `exit 1`, `signal 9 (SIGKILL)`, `timed out`.

    cause: as stored, such as `exit 1`, `signal 9` or `timeout`.
    """
    kind, _, number = cause.partition(" ")
    if not number.isdecimal():
        return how_ended(cause, None, None)
    return (
        how_ended(kind, int(number), None) if kind == "exit" else how_ended(kind, None, int(number))
    )


def cause_from(text: str) -> str:
    """Return the stored cause that a text names, in any form in which the program shows it.

    Accepts `exit 1`; `signal 9`, `signal 9 (SIGKILL)` and `SIGKILL`; a reason as recorded
    (`timeout`) or as shown (`timed out`); and a reason with its details (`ffmpeg: command not
    found`). Case does not matter. Raises BadInput.
    """
    words = " ".join(text.lower().split()).removeprefix("failed: ")
    cause = _exit_or_signal(words) or _reasons().get(words) or _detailed_reason(words)
    if cause is None:
        near = _nearest_cause(words)
        hint = f"did you mean {near!r}?" if near else _HELP
        raise BadInput(f"unknown cause {text!r:.100}; {hint}")
    return cause


def _exit_or_signal(words: str) -> str | None:
    """Return the stored form of an exit code or a signal; None for other words."""
    if match := re.fullmatch(r"exit ([0-9]{1,3})(?: \(success is only .*\))?", words, re.ASCII):
        return f"exit {int(match[1])}" if int(match[1]) <= LAST_EXIT_CODE else None
    if match := re.fullmatch(r"signal ([0-9]{1,3})(?: \(sig[a-z0-9+-]+\))?", words, re.ASCII):
        return f"signal {int(match[1])}" if 1 <= int(match[1]) <= LAST_RECORDED_SIGNAL else None
    number = signal_number(words.removeprefix("signal "))
    return None if number is None else f"signal {number}"


def _reasons() -> dict[str, str]:
    """Return the recorded form of each failure reason, by its recorded and its shown form."""
    reasons = [reason for reason in get_args(FailureReason) if reason not in ("exit", "signal")]
    reasons.append("unknown")
    return {name: reason for reason in reasons for name in (reason, cause_words(reason))}


def _detailed_reason(words: str) -> str | None:
    """Return the reason of a text that also quotes the system's error; None for other words."""
    if words.startswith("working directory "):
        return "no-directory"
    if words.startswith("could not be started: "):
        return "launch"
    return next((reason for end, reason in _ERRORS.items() if words.endswith(f": {end}")), None)


def _nearest_cause(words: str) -> str | None:
    """Return the cause that a mistyped text probably means: `exit 1` for `exit1` or `1`."""
    if match := re.fullmatch(r"([a-z]*)(?:[^0-9]*[^a-z0-9])?([0-9]{1,3})", words, re.ASCII):
        kind = nearest(match[1] or "exit", ("exit", "signal"))
        candidate = f"{kind} {int(match[2])}"
        return candidate if _exit_or_signal(candidate) else None
    if words.startswith("sig"):
        name = nearest(words, [signal.name.lower() for signal in Signals])
        return name and name.upper()
    return nearest(words, _reasons())
