"""Numbers of things, for people: `1 retry`, `2,000 jobs`."""


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 retry`, `2 retries`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
