"""The delay before a retry."""

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait between attempts."""

    base: float
    """Seconds; the delay before retry k is `base ** k`."""
    cap_us: int
    """The longest delay."""
    jitter: float
    """The part of the delay that is drawn at random: 0 none, 1 all of it."""


def delay_us(retry: int, backoff: Backoff, drawn: float) -> int:
    """Microseconds to wait before `retry` (1 is the first); at most `backoff.cap_us`.

    drawn: by the caller from [0, 1). Source: base ** retry seconds, as in the original; jitter 1 is
    the full jitter of Brooker, "Exponential Backoff And Jitter", AWS, 2015.
    """
    try:
        full = min(backoff.base**retry * 1e6, float(backoff.cap_us))
    except OverflowError:
        full = float(backoff.cap_us)
    return round(full * (1 - backoff.jitter * drawn))
