"""The attempts of a worker: those in slots, and those whose outcome is not decided yet."""

from collections.abc import Iterable
from functools import partial

from .attempt import Attempt
from .console import Console
from .launcher import Launcher
from .selector import Selector
from .slots import Slots
from .stopping import Urgency


class Running:
    """Attempts from launch to outcome. Times are microseconds of the monotonic clock.

    An attempt occupies its slot until all of its processes have ended. Then the slot is free, and
    the attempt is undecided for a moment: a signal that stops the worker may still arrive and be
    the reason of its end.
    """

    def __init__(
        self, slots: int, launcher: Launcher, selector: Selector, console: Console
    ) -> None:
        self._slots: Slots[Attempt] = Slots(slots)
        self._undecided: list[Attempt] = []
        self._launcher, self._selector, self._console = launcher, selector, console

    def __len__(self) -> int:
        """Return the number of slots that are in use."""
        return len(self._slots)

    @property
    def all_decided(self) -> bool:
        """Whether no attempt waits for its outcome."""
        return not self._undecided

    def free(self) -> list[int]:
        """Return the free slots, the lowest first."""
        return self._slots.free()

    def add(self, attempt: Attempt) -> None:
        """Put a launched attempt into its slot."""
        self._slots.occupy(attempt.slot, attempt)
        attempt.begin(partial(self._slots.remind, attempt.slot))
        self._selector.report_output(attempt)

    def read(self, printed: Iterable[Attempt], now_us: int) -> None:
        """Read the output of these attempts."""
        for attempt in printed:
            if not attempt.read(now_us):
                self._selector.stop_reporting_output(attempt)

    def reap(self, now_us: int) -> None:
        """Note the main processes that have ended."""
        exits = self._launcher.reap()
        if not exits:
            return
        by_pid = {attempt.child.pid: attempt for attempt in self._slots if not attempt.has_exited}
        for child_exit in exits:
            by_pid[child_exit.pid].exited(child_exit, now_us)

    def free_slots(self, now_us: int) -> bool:
        """Free the slots of attempts without living processes. Return whether there were any."""
        gone = [attempt for attempt in self._slots if attempt.has_exited and attempt.gone(now_us)]
        for attempt in gone:
            self._selector.stop_reporting_output(attempt)  # `outcome` reads the rest of the output
            self._slots.leave(attempt.slot)
        self._undecided += gone
        return bool(gone)

    def decided(self, now_us: int) -> list[Attempt]:
        """Remove and return the attempts whose outcome can no longer change."""
        decided = [attempt for attempt in self._undecided if attempt.decided_at_us <= now_us]
        for attempt in decided:
            self._undecided.remove(attempt)
        return decided

    def remind(self, now_us: int) -> None:
        """Handle the reminders that are due: timeouts, ends of graces, output to write to files."""
        for attempt in self._slots.due(now_us):
            attempt.reminded(now_us)
            self._console.unendable(attempt.job.id, attempt.unendable(now_us))

    def next_us(self) -> int | None:
        """Return the next time at which to call `remind` or `decided`; None if there is none."""
        reminder_us = self._slots.next_reminder()
        if not self._undecided:
            return reminder_us
        decided_us = min(attempt.decided_at_us for attempt in self._undecided)
        return decided_us if reminder_us is None else min(decided_us, reminder_us)

    def cancel(self, cancelled: set[tuple[str, int]], now_us: int) -> None:
        """End the cancelled attempts. cancelled: pairs of a job id and an attempt."""
        for attempt in self._slots:
            if (attempt.job.id, attempt.job.attempt) in cancelled:
                attempt.end("cancelled", now_us)

    def signalled(self, now_us: int) -> None:
        """Note that the worker received a stop signal; its jobs may have received it before."""
        for attempt in (*self._slots, *self._undecided):
            attempt.worker_signalled(now_us)

    def thawed(self, frozen_us: int) -> None:
        """Note that all processes were frozen for so long: that does not count for timeouts."""
        for attempt in self._slots:
            attempt.thawed(frozen_us)

    def stop(self, urgency: Urgency, now_us: int) -> None:
        """End or kill the attempts in slots, as this urgency requires."""
        for attempt in self._slots:
            attempt.worker_stops(now_us)
            if urgency == Urgency.NOW:
                attempt.end("worker-stopped", now_us)
            elif urgency == Urgency.AT_ONCE:
                attempt.kill("worker-stopped", now_us)

    def kill(self, now_us: int) -> None:
        """Kill all attempts: the keeper of this worker is dead."""
        for attempt in self._slots:
            attempt.kill("worker-lost", now_us)

    def have_processes(self, now_us: int) -> bool:
        """Return whether an attempt in a slot still has processes; kill leftover processes."""
        alive = [attempt for attempt in self._slots if not attempt.gone(now_us)]
        return bool(alive)
