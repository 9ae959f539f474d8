"""Durations and sizes as people write them: `90`, `5m`, `1h30m`, `100ms`; `512M`."""

import re

from .errors import BadInput
from .text.durations import SECOND_US, UNITS_US

LONGEST_US = 100 * 365 * UNITS_US["d"]
"""A hundred years: far beyond any use, and far from where 64 bits end."""

# Patterns are compiled when first used: most commands name no duration, and each import counts.
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)"
_DURATION = "".join(rf"(?:{_NUMBER}{unit}\s*)?" for unit in UNITS_US)
_SIZE = rf"{_NUMBER}\s*([KMGTkmgt]?)(?:i?[Bb])?"
_FACTORS = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "": 1}


def duration_us(text: str) -> int:
    """Microseconds of a duration; a bare number is seconds. Raises BadInput."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return duration_of(float(text))
    found = re.fullmatch(_DURATION, text)
    if not text or not found:
        raise BadInput(f"{text!r:.100} is not a duration; write 90, 90s, 5m, 1h30m, 2d or 100ms")
    parts = zip(found.groups(), UNITS_US.values(), strict=True)
    return _bounded(text, sum(float(number) * unit for number, unit in parts if number))


def duration_of(seconds: float) -> int:
    """Microseconds of a number of seconds. Raises BadInput for what is no length of time."""
    if not seconds >= 0:
        raise BadInput(f"{seconds} is not a duration; it cannot be negative")
    return _bounded(f"{seconds} seconds", seconds * SECOND_US)


def _bounded(text: str, us: float) -> int:
    if us > LONGEST_US:
        raise BadInput(f"{text:.100} is too long; a duration is at most a hundred years")
    return round(us)


def size_bytes(text: str) -> int:
    """Bytes of a size; `K`, `M`, `G`, `T` are powers of 1024. Raises BadInput."""
    found = re.fullmatch(_SIZE, text.strip())
    if not found:
        raise BadInput(f"{text!r:.100} is not a size; write 4096, 512K, 10M or 2G")
    return round(float(found[1]) * _FACTORS[found[2].upper()])


def size_text(size: int) -> str:
    """The shortest exact way to write it: `size_bytes` of it is `size` again."""
    for letter, factor in _FACTORS.items():
        if size and size % factor == 0:
            return f"{size // factor}{letter}"
    return "0"
