"""Format and parse points in time: `14:05`, `yesterday 14:05`, `2h-ago`, ISO 8601.

`dashboard/static/live.js` formats ages like `ago`, so that they keep counting on an open page.
"""

import os
import re
from datetime import UTC, datetime, timedelta

from ..errors import BadInput
from .durations import age, duration_us

_CLOCK = r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?"
_LENGTH = r"(?:[0-9.]+ ?[a-z]+ ?)+"
"""Numbers with units, as in a duration. No date and no time of day matches."""
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_POSIX_ZONE = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?[0-9]"
"""A time zone that spells out its rules: `CET-1CEST,M3.5.0,M10.5.0/3`."""
_LATEST_US = 253_370_764_800_000_000
"""In the year 9999, the last for which Python has dates."""


class _NoTime(Exception):
    """The text is not a time."""


def instant_us(text: str, now_us: int, example: str = "2h-ago") -> int:
    """Parse a time and return it as UTC, microseconds since 1970. Raises BadInput.

    A text without a time zone is local time. now_us: the current time, for `2h-ago`, `in 2h` and
    `14:05` (today). example: a relative time, for the error.
    """
    words = _normal(text)
    if words.endswith(("-ago", " ago")):
        return now_us - duration_us(words[:-4])
    if (delay_us := relative_us(text)) is not None:
        return now_us + delay_us
    try:
        return _at_us(text, now_us, fold=0)
    except _NoTime:
        raise BadInput(
            f"{text!r:.100} is not a time; write 2026-11-24T14:05, 14:05, 'tomorrow 9:00'"
            f" or {example}"
        ) from None


def past_us(text: str, now_us: int) -> int:
    """Parse a time in the past: like `instant_us`, but `2h` alone is two hours ago."""
    if re.fullmatch(_LENGTH, _normal(text)):
        return now_us - duration_us(text)
    return instant_us(text, now_us)


def relative_us(text: str) -> int | None:
    """Return how many microseconds from now `now`, `in 2h` or `+2h` is; None for other text.

    Raises BadInput for `in` or `+` without a duration.
    """
    words = _normal(text)
    if words == "now":
        return 0
    if words.startswith(("in ", "+")):
        return duration_us(words.removeprefix("in ").removeprefix("+"))
    return None


def coming_us(text: str, now_us: int) -> int:
    """Parse a time in the future: like `instant_us`, except for times of day that have passed.

    A passed time of day is a time tomorrow, unless the clock will show it again today: when
    daylight saving time ends, an hour is repeated.
    """
    at_us = instant_us(text, now_us, example="'in 2h'")
    if at_us >= now_us or _normal(text).endswith("ago"):
        return at_us
    repeated_us = _at_us(text, now_us, fold=1)
    if repeated_us >= now_us:
        return repeated_us
    if re.fullmatch(_CLOCK, _normal(text)):
        return instant_us(f"tomorrow {text.strip()}", now_us)
    return at_us


def by_the_day(text: str) -> str | None:
    """Return the text if its date depends on the current day, such as `tomorrow 9:00`; else None.

    The result is in lower case, with single spaces.
    """
    words = _normal(text)
    return words if words.split(" ")[0] in _DAYS or re.fullmatch(_CLOCK, words) else None


def rfc3339(at_us: int) -> str:
    """Format UTC microseconds since 1970 as `2026-11-24T14:05:09.311000Z`."""
    seconds, rest = divmod(at_us, 1_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return f"@{seconds}.{rest:06d}"


def instant(at_us: int | None) -> str | None:
    """Format a time like `rfc3339`, or return None for None."""
    return None if at_us is None else rfc3339(at_us)


def ago(at_us: int, now_us: int) -> str:
    """Format a time as its distance from now: `2m ago`, `in 5s`.

    at_us, now_us: UTC, microseconds since 1970. `tick` in live.js does the same on an open page.
    """
    return f"in {age(at_us - now_us)}" if at_us > now_us else f"{age(now_us - at_us)} ago"


def clock(at_us: int) -> str:
    """Format the local time of day, to the millisecond: `14:05:09.311`."""
    at = _local(at_us)
    return rfc3339(at_us) if at is None else f"{at:%H:%M:%S}.{at_us // 1000 % 1000:03d}"


def minute(at_us: int, with_weekday: bool) -> str:
    """Format the local time of day, to the minute: `14:05` or `Tue 14:05`."""
    at = _local(at_us)
    if at is None:
        return rfc3339(at_us)
    return f"{at:%a %H:%M}" if with_weekday else f"{at:%H:%M}"


def stamp(at_us: int) -> str:
    """Format local date, time and offset from UTC: `2026-11-24 14:05:09 +01:00`."""
    at = _local(at_us)
    if at is None:
        return rfc3339(at_us)
    offset = f"{at.astimezone():%z}"
    return f"{at:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def moment(at_us: int, now_us: int) -> str:
    """Format the local time of day, with the date unless that is today."""
    return clock(at_us) if day(at_us) == day(now_us) else f"{day(at_us)}, {clock(at_us)}"


def day(at_us: int) -> str:
    """Format the local date: `Tue 24 Nov 2026`."""
    at = _local(at_us)
    return "beyond the calendar" if at is None else f"{at:%a} {at.day} {at:%b} {at.year}"


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _at_us(text: str, now_us: int, fold: int) -> int:
    """Parse a date and time; return UTC, microseconds since 1970.

    fold: 0 for the first and 1 for the second of two equal local times. Raises BadInput for a time
    out of range, and _NoTime for text that is not a time.
    """
    try:
        at = _on_a_day(_normal(text), now_us) or datetime.fromisoformat(text.strip())
        at_us = round(at.replace(fold=fold).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise _NoTime from None
    if at.tzinfo is None:
        _refuse_unknown_zone()
    if not 0 <= at_us <= _LATEST_US:
        raise BadInput(f"{text!r:.100} is out of range; times lie between 1970 and 9999")
    return at_us


def _on_a_day(words: str, now_us: int) -> datetime | None:
    """Parse `today`, `yesterday 14:05` or `14:05`; return None for other text."""
    first, _, rest = words.partition(" ")
    day, clock = (first, rest) if first in _DAYS else ("today", words)
    match = re.fullmatch(_CLOCK, clock)
    if not match and (clock or first not in _DAYS):
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    date = datetime.fromtimestamp(now_us / 1_000_000) + timedelta(days=_DAYS[day])
    return date.replace(hour=hour, minute=minute, second=second, microsecond=0)


def _refuse_unknown_zone() -> None:
    """Raise BadInput for an unknown TZ, which the C library silently treats as UTC."""
    zone = os.environ.get("TZ", "").removeprefix(":")
    if not zone or zone == "UTC" or re.match(_POSIX_ZONE, zone):
        return
    from zoneinfo import TZPATH

    if not any(os.path.isfile(os.path.join(folder, zone)) for folder in TZPATH):
        raise BadInput(
            f"TZ={zone!r:.100} is not a time zone of this machine; correct it, or write times with"
            " their offset: 2026-11-24T14:05+01:00"
        )


def _local(at_us: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_us // 1_000_000)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return None
