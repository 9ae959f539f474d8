"""Lists of exit codes and signals as people write them: `64,65`, `SIGKILL`, `only:1,3`."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from projections.folds.job import Job

from ..errors import BadInput
from ..escape import for_errors
from .outcomes import signal_name

MOST_ENDINGS = 100
"""The maximum number of exit codes and signals in one list."""

LAST_SIGNAL = 64
"""The highest signal number on the usual Linux machines (SIGRTMAX)."""

_ONLY = "only:"
_HELP = "write exit codes from 0 to 255 and signals: 3,64,SIGKILL or signal:9"


class Endings(NamedTuple):
    """Exit codes and signal numbers, each sorted and without duplicates."""

    codes: tuple[int, ...]
    signals: tuple[int, ...]


def endings(label: str, value: object) -> Endings:
    """Return the exit codes and signals in a number, a list or a text. Raises BadInput.

    label: the option or key, for the error.
    """
    words = _words(value)
    if len(words) > MOST_ENDINGS:
        raise BadInput(
            f"{label} takes at most {MOST_ENDINGS} exit codes and signals, not {len(words):,}"
        )
    codes, signals = set(), set()
    for word in words:
        if (code := _code(word)) is not None:
            codes.add(code)
        elif (number := signal_number(word)) is not None:
            signals.add(number)
        else:
            raise BadInput(f"{label}: {for_errors(word)} is no exit code and no signal; {_HELP}")
    return Endings(tuple(sorted(codes)), tuple(sorted(signals)))


def successes(label: str, value: object) -> Endings:
    """Return the endings that count as success; 0 is added unless the text begins with `only:`."""
    if not isinstance(value, str) or not value.strip().startswith(_ONLY):
        codes, signals = endings(label, value)
        return Endings(tuple(sorted({0, *codes})), signals)
    listed = endings(label, value.strip().removeprefix(_ONLY))
    if not any(listed):
        raise BadInput(f"{label}: {_ONLY} names nothing, so no attempt could succeed; {_HELP}")
    return listed


def endings_text(codes: Iterable[int], signals: Iterable[int]) -> str:
    """Format exit codes and signals as a list: `0, 3, SIGTERM`."""
    return ", ".join((*map(str, codes), *map(signal_name, signals)))


def successes_text(codes: Iterable[int], signals: Iterable[int]) -> str:
    """Format what counts as success: `0, 3`; `only 3, SIGTERM` if exit code 0 does not."""
    codes = tuple(codes)
    text = endings_text(codes, signals)
    return text if 0 in codes else f"only {text}"


def zero_explained(job: Job) -> str:
    """Return ` (success is only 3)` for a job that failed with exit code 0; else empty."""
    if job.failure != "exit" or job.exit_code != 0:
        return ""
    return f" (success is {successes_text(job.spec.success_exit, job.spec.success_signal)})"


def _words(value: object) -> list[object]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        return [word.strip() for word in value.split(",")] if value.strip() else []
    return [value]


def _code(word: object) -> int | None:
    if isinstance(word, str) and re.fullmatch("[0-9]{1,3}", word):
        word = int(word)
    return word if type(word) is int and 0 <= word <= 255 else None


def signal_number(word: object) -> int | None:
    """Return the number of `SIGKILL`, `kill`, `signal:9` or `signal:KILL`; None for other words."""
    from signal import Signals

    if not isinstance(word, str):
        return None
    name = word.upper()
    if name.startswith("SIGNAL:"):
        name = name.removeprefix("SIGNAL:")
        if re.fullmatch("[0-9]{1,3}", name):
            return int(name) if 1 <= int(name) <= LAST_SIGNAL else None
    name = name if name.startswith("SIG") else f"SIG{name}"
    return int(Signals[name]) if name in Signals.__members__ else None
