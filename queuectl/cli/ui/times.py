"""How times look for a person: their distance from now, or the time of day."""

from datetime import datetime

from ...shapes import rfc3339
from ...text.durations import age


def ago(at_us: int, now: int) -> str:
    """A time as its distance from now: `2m ago`, `in 5s`."""
    return f"in {age(at_us - now)}" if at_us > now else f"{age(now - at_us)} ago"


def clock(at_us: int) -> str:
    """The local time of day, to the millisecond."""
    at = _local(at_us)
    return rfc3339(at_us) if at is None else f"{at:%H:%M:%S}.{at_us // 1000 % 1000:03d}"


def stamp(at_us: int) -> str:
    """The local date and time with its offset from UTC: `2026-11-24 14:05:09 +01:00`."""
    at = _local(at_us)
    if at is None:
        return rfc3339(at_us)
    offset = f"{at.astimezone():%z}"
    return f"{at:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


def moment(at_us: int, now: int) -> str:
    """The local time of day, with the date unless it is today's."""
    return clock(at_us) if day(at_us) == day(now) else f"{day(at_us)}, {clock(at_us)}"


def day(at_us: int) -> str:
    """The local date: `Tue 24 Nov 2026`."""
    at = _local(at_us)
    return "beyond the calendar" if at is None else f"{at:%a} {at.day} {at:%b} {at.year}"


def _local(at_us: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_us // 1_000_000)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return None
