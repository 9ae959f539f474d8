"""Points in time as people write them: `14:05`, `yesterday 14:05`, `2h-ago`, ISO 8601."""

import re
from datetime import datetime, timedelta

from .errors import BadInput
from .units import duration_us

_CLOCK = r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?"
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_LATEST_US = 253_370_764_800_000_000
"""The year 9999: a later one has no calendar date anywhere."""


def instant_us(text: str, now_us: int) -> int:
    """UTC, microseconds since 1970, of a time; where no zone is named it is local. Raises BadInput.

    now_us: what `2h-ago`, `in 2h` and `14:05` (today) are counted from.
    """
    words = text.strip().lower()
    if words == "now":
        return now_us
    if words.endswith(("-ago", " ago")):
        return now_us - duration_us(words[:-4])
    if words.startswith(("in ", "+")):
        return now_us + duration_us(words.removeprefix("in ").removeprefix("+"))
    try:
        at = _on_a_day(words, now_us) or datetime.fromisoformat(text.strip())
        at_us = round(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r:.100} is not a time; write 2026-11-24T14:05, 14:05, 'tomorrow 9:00' or 2h-ago"
        ) from None
    if not 0 <= at_us <= _LATEST_US:
        raise BadInput(f"{text!r:.100} is out of range; times lie between 1970 and 9999")
    return at_us


def coming_us(text: str, now_us: int) -> int:
    """The same for what is to come: a time of day that has passed today is tomorrow's."""
    at_us = instant_us(text, now_us)
    if at_us < now_us and re.fullmatch(_CLOCK, text.strip()):
        return instant_us(f"tomorrow {text.strip()}", now_us)
    return at_us


def _on_a_day(words: str, now_us: int) -> datetime | None:
    """`today`, `yesterday 14:05`, `14:05`; None for what is written otherwise."""
    first, _, rest = words.partition(" ")
    day, clock = (first, rest.strip()) if first in _DAYS else ("today", words)
    found = re.fullmatch(_CLOCK, clock)
    if not found and (clock or first not in _DAYS):
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    date = datetime.fromtimestamp(now_us / 1_000_000) + timedelta(days=_DAYS[day])
    return date.replace(hour=hour, minute=minute, second=second, microsecond=0, fold=0)
