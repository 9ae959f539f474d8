"""Durations, written as people type them: `250ms`, `2.3s`, `1m30s`, `3d4h`.

All of the program uses these functions, so one duration reads the same everywhere.
"""

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
_WRITTEN = {unit: size for unit, size in UNITS_US.items() if unit != "w"}
_LONG = (("d", "h"), ("h", "m"), ("m", "s"))


def duration(us: int) -> str:
    """A measured duration, rounded to what a reader needs. us: microseconds."""
    us = abs(us)
    if us < 9_950:
        return f"{_decimal(us / 1_000)}ms" if us else "0s"
    if us < 999_500:
        return f"{us / 1_000:.0f}ms"
    if us < 59_950_000:
        return f"{_decimal(us / SECOND_US)}s"
    return _two_units(round(us / SECOND_US) * SECOND_US)


def age(us: int) -> str:
    """A duration in one unit, rounded down, for times that go on: `2m`. us: microseconds."""
    for unit in ("d", "h", "m", "s"):
        if abs(us) >= UNITS_US[unit]:
            return f"{abs(us) // UNITS_US[unit]}{unit}"
    return "0s"


def exact_duration(us: int) -> str:
    """The shortest exact way to write it: `duration_us` of it is `us` again."""
    parts = []
    for unit, size in _WRITTEN.items():
        if us >= size:
            parts.append(f"{us // size}{unit}")
            us %= size
    return "".join(parts) or "0s"


def _decimal(number: float) -> str:
    """One decimal, unless it is 0: `2.3`, `38`."""
    return f"{number:.1f}".removesuffix(".0")


def _two_units(us: int) -> str:
    unit, part = next(pair for pair in _LONG if us >= UNITS_US[pair[0]])
    whole, rest = divmod(us, UNITS_US[unit])
    rest //= UNITS_US[part]
    return f"{whole}{unit}{rest}{part}" if rest else f"{whole}{unit}"
