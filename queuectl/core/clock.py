"""The clock: wall time and monotonic time. It is passed as a parameter: tests use their own."""

import time
from typing import Protocol

from ..errors import NoSuchTime


class Clock(Protocol):
    """A source of the time."""

    def wall_us(self) -> int:
        """Return UTC in microseconds since 1970. It may be set forward or back."""

    def monotonic_us(self) -> int:
        """Return microseconds that never decrease and do not advance while the machine sleeps."""


class SystemClock:
    """The clock of this machine."""

    def wall_us(self) -> int:
        """Return UTC in microseconds since 1970. Raises NoSuchTime if it is before 1970."""
        try:
            return time.time_ns() // 1000
        except OverflowError:
            raise NoSuchTime() from None

    def monotonic_us(self) -> int:
        """Return microseconds since an unspecified moment in the past."""
        return time.monotonic_ns() // 1000
