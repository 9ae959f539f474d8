"""Waking the loop when the next job falls due: one date trigger of APScheduler's, re-armed.

Its memory is never the truth: the loop reads the `timers` read model when it is woken, and at
least every half minute besides, for clocks step and machines sleep.
"""

import os
import signal
from datetime import UTC, datetime
from functools import cached_property
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

JOB = "earliest"


class PutOff(NamedTuple):
    """A retry that this worker itself put off."""

    at_us: int
    """By the monotonic clock, when it is due whatever the wall clock says by then."""
    due_at_us: int
    job_id: str


class Timers:
    """An alarm at the earliest due time, and the retries put off by this worker."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._armed: int | None = None
        self._put_off: list[PutOff] = []

    def start(self) -> None:
        """Start the thread of alarms. Raises RuntimeError if the machine refuses one."""
        self._scheduler  # noqa: B018

    def fileno(self) -> int:
        """Readable once the alarm has gone off."""
        return self._read

    def take(self) -> None:
        """Take in that it has, and that none is armed now."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            return
        self._armed = None

    def arm(self, due_at_us: int | None) -> None:
        """Go off at this time (UTC), or never, instead of at the one armed before."""
        if due_at_us == self._armed:
            return
        self._armed = due_at_us
        if due_at_us is None:
            self._scheduler.remove_all_jobs()
            return
        when = datetime.fromtimestamp(min(due_at_us, _LATEST_US) / 1e6, UTC)
        self._scheduler.add_job(self._go_off, "date", run_date=when, id=JOB, replace_existing=True)

    def put_off(self, job_id: str, due_at_us: int, at_us: int) -> None:
        """Note a retry that falls due at `due_at_us`, which is `at_us` by the monotonic clock."""
        heappush(self._put_off, PutOff(at_us, due_at_us, job_id))

    def next_put_off(self) -> int | None:
        """When, by the monotonic clock, the next of them is due."""
        return self._put_off[0].at_us if self._put_off else None

    def overdue(self, now_us: int) -> list[PutOff]:
        """Those whose time has come by the monotonic clock, each once."""
        found = []
        while self._put_off and self._put_off[0].at_us <= now_us:
            found.append(heappop(self._put_off))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No alarm goes off any more."""
        if "_scheduler" in self.__dict__:
            # Waits for one that is just going off: shut down in the middle of it, its thread fails.
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=True)
        os.close(self._read)
        os.close(self._write)

    @cached_property
    def _scheduler(self) -> Any:
        """Begun by `start`, or with the first alarm.

        By default APScheduler drops an alarm that is a second late, and hands the rest to threads
        of a pool; this one only writes a byte, so its own thread may do it.
        """
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        # The thread inherits the mask: a signal that came to it would only make it take turns.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            scheduler.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return scheduler

    def _go_off(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            pass  # it has gone off already


_LATEST_US = 253_000_000_000_000_000
"""The year 9987: no calendar of Python's goes much further."""
