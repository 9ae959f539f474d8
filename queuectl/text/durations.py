"""Format and parse durations: `250ms`, `2.3s`, `1m30s`, `3d4h`, `90`.

The whole program uses these functions, so that a duration has the same form everywhere. The age of
a time, `2m ago`, is formatted by `timestamps.ago`; on an open page, `dashboard/static/live.js`
counts ages on, with the rules of this file.
"""

import re

from ..errors import BadInput

SECOND_US = 1_000_000

# Longest first, the order in which the parts of a duration are written.
UNITS_US = {
    "w": 604_800 * SECOND_US,
    "d": 86_400 * SECOND_US,
    "h": 3_600 * SECOND_US,
    "m": 60 * SECOND_US,
    "s": SECOND_US,
    "ms": 1_000,
    "us": 1,
}
_UNITS_WRITTEN = {unit: size for unit, size in UNITS_US.items() if unit != "w"}
"""Weeks are understood, but written as days."""
LONGEST_US = 100 * 365 * UNITS_US["d"]
"""A hundred years: longer than any use, and far below the limit of a 64-bit integer."""

# Patterns are compiled when first used: most commands name no duration, and each import counts.
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)"
_DURATION = "".join(rf"(?:{_NUMBER}{unit}\s*)?" for unit in UNITS_US)
_LONG = (("d", "h"), ("h", "m"), ("m", "s"))
"""The two units in which a duration of a minute or more is written."""


def duration(us: int) -> str:
    """Format a measured duration, rounded to one or two units. us: microseconds."""
    us = abs(us)
    if us < 9_950:
        return f"{_decimal(us / 1_000)}ms" if us else "0s"
    if us < 999_500:
        return f"{us / 1_000:.0f}ms"
    if us < 59_950_000:
        return f"{_decimal(us / SECOND_US)}s"
    return _two_units(_rounded(us, SECOND_US))


def age(us: int) -> str:
    """Format a duration without fractions of a second, for running times: `42s`, `1h59m`.

    us: microseconds.
    """
    seconds_us = _rounded(abs(us), SECOND_US)
    if seconds_us < UNITS_US["m"]:
        return f"{seconds_us // SECOND_US}s"
    return _two_units(seconds_us)


def exact_duration(us: int) -> str:
    """Return the shortest exact text of a duration: `duration_us` parses it back to `us`."""
    parts = []
    for unit, size in _UNITS_WRITTEN.items():
        if us >= size:
            parts.append(f"{us // size}{unit}")
            us %= size
    return "".join(parts) or "0s"


def duration_us(text: str) -> int:
    """Parse a duration and return its microseconds; a bare number is seconds. Raises BadInput."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return duration_of(float(text))
    match = re.fullmatch(_DURATION, text)
    if not text or not match:
        raise BadInput(f"{text!r:.100} is not a duration; write 90, 90s, 5m, 1h30m, 2d or 100ms")
    parts = zip(match.groups(), UNITS_US.values(), strict=True)
    return _bounded(text, sum(float(number) * unit for number, unit in parts if number))


def duration_of(seconds: float) -> int:
    """Convert seconds to microseconds. Raises BadInput if they are negative, NaN or too many."""
    if not seconds >= 0:
        raise BadInput(f"{seconds} is not a duration; it cannot be negative")
    return _bounded(f"{seconds} seconds", seconds * SECOND_US)


def duration_named(key: str, seconds: float) -> int:
    """Convert seconds to microseconds like `duration_of`. The message of BadInput names `key`."""
    try:
        return duration_of(seconds)
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from None


def _decimal(number: float) -> str:
    """Format a number with one decimal, or with none if that would be 0: `2.3`, `38`."""
    return f"{number:.1f}".removesuffix(".0")


def _two_units(us: int) -> str:
    """Format a duration of a minute or more, rounded to the smaller of two units: `1h59m`."""
    _, part = _long_units(us)
    us = _rounded(us, UNITS_US[part])
    unit, part = _long_units(us)  # rounding may reach the next unit: 59m59.6s is 1h
    whole, rest = divmod(us, UNITS_US[unit])
    rest //= UNITS_US[part]
    return f"{whole}{unit}{rest}{part}" if rest else f"{whole}{unit}"


def _long_units(us: int) -> tuple[str, str]:
    return next(pair for pair in _LONG if us >= UNITS_US[pair[0]])


def _rounded(us: int, step_us: int) -> int:
    """Return the nearest multiple of `step_us`, the larger one if two are equally near."""
    return (us + step_us // 2) // step_us * step_us


def _bounded(text: str, us: float) -> int:
    if us > LONGEST_US:
        raise BadInput(f"{text:.100} is too long; a duration is at most a hundred years")
    return round(us)
