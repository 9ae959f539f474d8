"""The delay before a retry."""

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """The parameters of the delay between two attempts."""

    base: float
    """Seconds; the delay before retry k is `base ** k`."""
    cap_us: int
    """The longest delay."""
    jitter: float
    """The fraction of the delay that is random: 0 none, 1 all of it."""


def delay_us(retry: int, backoff: Backoff, drawn: float) -> int:
    """Return the microseconds to wait before `retry` (1 is the first), at most `backoff.cap_us`.

    drawn: a random number in [0, 1), drawn by the caller. The delay is base ** retry seconds.
    Source: jitter 1 is the full jitter of Brooker, "Exponential Backoff And Jitter", AWS, 2015.
    """
    try:
        full = min(backoff.base**retry * 1e6, float(backoff.cap_us))
    except OverflowError:
        full = float(backoff.cap_us)
    return round(full * (1 - backoff.jitter * drawn))
