"""The alarm that wakes the loop when the next job falls due: one date trigger of APScheduler.

The alarm is only a hint, written to a pipe by the scheduler's thread. The loop reads the `timers`
read model whenever it is woken, and at least every 30 s, because clocks are set and machines sleep.
"""

import os
import time
from datetime import UTC, datetime
from functools import cached_property
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

from eventstore.quiet_thread import without_signals

JOB = "earliest"


class TimedRetry(NamedTuple):
    """A retry that was scheduled by this worker."""

    at_us: int
    """When it is due by the monotonic clock, independent of changes of the wall clock."""
    due_at_us: int
    """When it is due by the wall clock (UTC, microseconds), as recorded."""
    job_id: str


class Timers:
    """An alarm at the earliest due time, and the retries that this worker scheduled."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._alarm_at_us: int | None = None
        self._retries: list[TimedRetry] = []

    def start(self) -> None:
        """Start the thread of alarms. Raises RuntimeError if the machine refuses one."""
        self._scheduler  # noqa: B018

    def fileno(self) -> int:
        """Return a descriptor that is readable after the alarm has fired."""
        return self._read

    def take(self) -> None:
        """Reset the alarm after it has fired; no alarm is set afterwards."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            return
        self._alarm_at_us = None

    def arm(self, due_at_us: int | None, now_us: int) -> None:
        """Set the alarm to this time; None switches it off.

        due_at_us, now_us: UTC, microseconds, both by the clock of the store. It may be that of a
        server, which differs from the clock of this machine.
        """
        if due_at_us == self._alarm_at_us:
            return
        self._alarm_at_us = due_at_us
        if due_at_us is None:
            self._scheduler.remove_all_jobs()
            return
        here_us = time.time_ns() // 1000 + due_at_us - now_us
        when = datetime.fromtimestamp(min(here_us, _LATEST_US) / 1e6, UTC)
        self._scheduler.add_job(self._fire, "date", run_date=when, id=JOB, replace_existing=True)

    def add_retry(self, job_id: str, due_at_us: int, at_us: int) -> None:
        """Remember a retry.

        It is due at `due_at_us` (UTC), which is `at_us` on the monotonic clock.
        """
        heappush(self._retries, TimedRetry(at_us, due_at_us, job_id))

    def next_retry(self) -> int | None:
        """Return when the next remembered retry is due (monotonic clock); None if there is none."""
        return self._retries[0].at_us if self._retries else None

    def due_retries(self, now_us: int) -> list[TimedRetry]:
        """Remove and return the retries that are due by the monotonic clock, the earliest first."""
        due = []
        while self._retries and self._retries[0].at_us <= now_us:
            due.append(heappop(self._retries))
        return due

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the scheduler and close the pipe."""
        if "_scheduler" in self.__dict__:
            # Wait for an alarm that is firing now: its thread fails if it is shut down during that.
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=True)
        os.close(self._read)
        os.close(self._write)

    @cached_property
    def _scheduler(self) -> Any:
        """Start the scheduler, at the first use: `start` or the first alarm.

        By default APScheduler drops an alarm that is a second late, and runs the others in a thread
        pool; this one only writes a byte, so the scheduler's own thread can do it.
        """
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        with without_signals():
            scheduler.start()
        return scheduler

    def _fire(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass  # the pipe is full: the loop will be woken anyway


_LATEST_US = 253_000_000_000_000_000
"""The year 9987, near the end of the range of Python's datetime."""
