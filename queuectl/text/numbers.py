"""Numbers as people write and read them: `42`, `1 retry`, `2,000 jobs`."""

import re

LARGEST_INTEGER = 2**63 - 1
"""The largest integer that SQLite can store."""


def whole_number(text: str, lowest: int, highest: int) -> int | None:
    """Return the number from `lowest` to `highest` written in ASCII digits; None for other text."""
    match = re.fullmatch("([+-]?)0*([0-9]{1,19})", text)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return number if lowest <= number <= highest else None


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return the number with its noun: `1 retry`, `2 retries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
