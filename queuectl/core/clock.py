"""Wall and monotonic time, as something passed in."""

import time
from typing import Protocol

from ..errors import NoSuchTime


class Clock(Protocol):
    """Where the time comes from."""

    def wall_us(self) -> int:
        """UTC, microseconds since 1970. It may step, back or forward."""

    def monotonic_us(self) -> int:
        """Microseconds that only ever rise; a suspended machine's time does not count."""


class SystemClock:
    """The machine's own."""

    def wall_us(self) -> int:
        """UTC, microseconds since 1970. Raises NoSuchTime."""
        try:
            return time.time_ns() // 1000
        except OverflowError:
            raise NoSuchTime() from None

    def monotonic_us(self) -> int:
        """Microseconds since some moment of the past."""
        return time.monotonic_ns() // 1000
