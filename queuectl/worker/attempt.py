"""An attempt of a job, from its launch until all of its processes have ended.

The supervisor owns the attempts and calls them from its one thread; nothing here blocks. The order
of calls is: `begin`, then `read`, `reminded`, `end` and `kill` in any order, `exited` once, `gone`
until it returns True, `outcome`, and `recorded` after the commit of the result.
"""

import os
from collections.abc import Callable
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import Literal

from eventstore.events.job import FailureReason, Usage
from eventstore.location import label_of
from projections.folds.context import Context
from projections.folds.job import Job

from ..core.requests import Outcome
from ..outputs.writer import Kept, OutputWriter
from .launcher import Child, ChildExit, Launcher
from .order import Order
from .process_mark import Mark
from .process_sweep import STUCK_US, Unendable

CHUNK_BYTES = 65_536
LAST_CHUNKS = 32
"""The most chunks to read at the end: a process that inherited the pipe may write forever."""
MOST_NAMES = 10
"""The most names of leftover processes that are recorded."""
QUICK_US = 1_000_000
"""If a job runs longer than this, its output is written to a file, so that `logs -f` shows it."""

SHUTDOWN = frozenset({SIGHUP, SIGINT, SIGTERM})
"""Signals that init, systemd or a container runtime sends to all processes at once."""
SHELL_OFFSET = 128
"""A shell exits with 128 + n if its command was ended by signal n."""
STOP_SEEN_US = 250_000
"""A shutdown may signal a job first, and its worker up to this much later."""
EXIT_SEEN_US = 50_000
"""The same for a job that ended with an exit code, which does not show whether a signal caused it.

It is shorter because it delays the record of every failure.
"""

KEEP_US, KEEP_AGAIN_US = 2_000_000, 20_000
"""The longest search for processes to keep, which may still fork; the pause between two tries."""

Ended = FailureReason | Literal["cancelled"]


class Attempt:
    """A running attempt. Times are microseconds of the monotonic clock."""

    def __init__(
        self,
        job: Job,
        slot: int,
        mark: Mark,
        child: Child,
        output: OutputWriter,
        launcher: Launcher,
        now_us: int,
    ) -> None:
        self.job, self.slot, self.mark, self.child = job, slot, mark, child
        self.kept_output: Kept | None = None
        self._output, self._launcher = output, launcher
        self._started_us = now_us
        self._ended: Ended = "exit"
        self._exit: ChildExit | None = None
        self._exited_us = 0
        self._duration_us = 0
        self._kill_at_us: int | None = None
        self._worker_stops = False
        self._undecided_until_us: int | None = None
        """If the worker is stopped before this time, that is recorded as the reason of the end."""
        self._signalled_until_us = 0
        """Until this time, a failure counts as an effect of the signal that stops the worker."""
        self.decided_at_us = 0
        """When its failure may be recorded; 0 means at once.

        If a stop signal arrives before that, the failure is recorded as `worker-stopped`.
        """
        self._check_at_us: int | None = None
        """When to check for processes that no signal has ended."""
        self._stragglers: dict[int, str] = {}
        """Names of leftover processes that were killed, by pid."""
        self._remind: Callable[[int], None] = _remind_nobody

    def begin(self, remind: Callable[[int], None]) -> None:
        """Start the timeout. Call this when the attempt occupies its slot.

        remind: schedules a call of `reminded` at the given time.
        """
        self._remind = remind
        if self.job.spec.timeout_us is not None:
            remind(self._started_us + self.job.spec.timeout_us)

    def read(self, now_us: int) -> bool:
        """Read a chunk of output from the pipe; return False at the end of the output."""
        data = self._read()
        if data:
            if not self._output.total_bytes:
                self._remind(now_us + QUICK_US)
            self._output.take(data)
        return data != b""

    def reminded(self, now_us: int) -> None:
        """End it if its timeout is over, kill it if its grace is over, and write its output."""
        timeout_us = self.job.spec.timeout_us
        if timeout_us is not None and now_us >= self._started_us + timeout_us:
            self.end("timeout", now_us)
        if self._kill_at_us is not None and now_us >= self._kill_at_us:
            self._launcher.send({self.mark}, SIGKILL)
            self._check_soon(now_us)
        if self._output.total_bytes:
            self._output.spill()

    def thawed(self, frozen_us: int) -> None:
        """Postpone its timeout and the end of its grace: its processes were frozen for so long."""
        self._started_us += frozen_us
        if self.job.spec.timeout_us is not None:
            self._remind(self._started_us + self.job.spec.timeout_us)
        if self._kill_at_us:
            self._kill_at_us += frozen_us
            self._remind(self._kill_at_us)

    def end(self, why: Ended, now_us: int) -> None:
        """Send TERM to its processes now, and KILL after its grace. The first reason is kept."""
        if self._ended == "exit" and self._exit is None:
            self._ended = why
            self._kill_at_us = now_us + self.job.spec.grace_us
            self._remind(self._kill_at_us)
            self._launcher.send({self.mark}, SIGTERM)
            self._check_soon(now_us)

    def kill(self, why: Ended, now_us: int) -> None:
        """Kill its processes at once, without grace."""
        if self._ended == "exit" and self._exit is None:
            self._ended = why
        self._undecided_until_us = None
        self._kill_at_us = 0
        self._launcher.send({self.mark}, SIGKILL)
        self._check_soon(now_us)

    def unendable(self, now_us: int) -> list[Unendable]:
        """Return its processes that no signal ends.

        After each signal, they are returned once, STUCK_US later. All other calls return an empty
        list.
        """
        if self._check_at_us is None or now_us < self._check_at_us:
            return []
        self._check_at_us = None
        return self._launcher.unendable(self.mark)

    def _check_soon(self, now_us: int) -> None:
        if self._check_at_us is None:
            self._check_at_us = now_us + STUCK_US
            self._remind(self._check_at_us)

    def worker_stops(self, now_us: int) -> None:
        """Note that the worker stops.

        From now on, a job that a shutdown signal ends counts as stopped by the worker.
        """
        self._worker_stops = True
        if self._undecided_until_us is not None:
            self._stopped(now_us)

    def worker_signalled(self, now_us: int) -> None:
        """Note that the worker received a stop signal; its jobs may have received it just before.

        A busy machine can delay the worker; it still handles the signal before it records the
        result.
        """
        self._signalled_until_us = now_us + STOP_SEEN_US
        if self.decided_at_us:
            self._ended, self.decided_at_us = "worker-stopped", 0

    def exited(self, exit_: ChildExit, now_us: int) -> None:
        """Note the end of its main process. If it took longer than its timeout, it timed out.

        The kernel does not store when a process ended, so the duration includes the time until the
        worker noticed it.
        """
        self._exit, self._exited_us = exit_, now_us
        self._duration_us = max(0, now_us - self._started_us)
        timeout_us = self.job.spec.timeout_us
        if self._ended == "exit" and timeout_us is not None and self._duration_us > timeout_us:
            self._ended = "timeout"
        if self._ended != "exit" or exit_.exit_code in self.job.spec.success_exit:
            return
        number = exit_.signal or (exit_.exit_code or 0) - SHELL_OFFSET
        failed = bool(exit_.exit_code) and exit_.refusal is None
        if (self._worker_stops and number in {*SHUTDOWN, SIGKILL}) or (
            failed and now_us < self._signalled_until_us
        ):
            self._stopped(now_us)
        elif number in SHUTDOWN:
            self._undecided_until_us = now_us + STOP_SEEN_US
            self._remind(self._undecided_until_us)
        elif failed:
            self.decided_at_us = now_us + EXIT_SEEN_US

    @property
    def has_exited(self) -> bool:
        """Whether the main process has ended."""
        return self._exit is not None

    def gone(self, now_us: int) -> bool:
        """Return whether all of its processes have ended. Leftover processes are killed.

        They are usually killed at once. If the worker ended the attempt, it is after the grace, as
        a shell often dies before its program has cleaned up. If a shutdown signal ended the
        main process, this returns False for a moment: when a machine shuts down, jobs may die
        before their worker receives its signal.
        """
        if self._exit is None:
            return False
        if self._undecided_until_us is not None:
            if now_us < self._undecided_until_us:
                return False
            self._undecided_until_us = None
        if self._ended == "exit" and self.job.spec.background == "keep":
            return self._keep(now_us)
        leftover = self._launcher.orphans(self.mark)
        if leftover and (self._kill_at_us is None or now_us >= self._kill_at_us):
            if not self._stragglers:
                self._check_soon(now_us)
            self._stragglers |= self._launcher.kill(leftover)
        return not leftover

    def _keep(self, now_us: int) -> bool:
        """Keep the remaining processes. Return True if all were found, or the time is over."""
        if self._launcher.keep(self.mark) or now_us > self._exited_us + KEEP_US:
            return True
        self._remind(now_us + KEEP_AGAIN_US)
        return False

    def outcome(self) -> Outcome:
        """Return how it ended. Reads the rest of the pipe first. Call it after `gone`."""
        assert self._exit is not None
        for _ in range(LAST_CHUNKS):
            if not (data := self._read()):
                break
            self._output.take(data)
        self.kept_output = kept = self._output.finish()
        ended, refusal = self._ended, self._exit.refusal
        if ended == "exit" and refusal is not None:
            return Outcome(ended=refusal.reason, error=refusal.error)
        if ended == "exit" and self._exit.signal is not None:
            ended = "signal"
        return Outcome(
            ended=ended,
            exit_code=self._exit.exit_code,
            signal=self._exit.signal,
            usage=Usage(
                duration_us=self._duration_us,
                cpu_us=self._exit.cpu_us,
                memory_bytes=self._exit.memory_bytes,
                output_bytes=kept.total_bytes,
                kept_bytes=kept.kept_bytes,
                output_sha256=kept.sha256,
                memory_below_bytes=self._exit.memory_below_bytes,
                stragglers=len(self._stragglers),
                straggler_names=tuple(dict.fromkeys(self._stragglers.values()))[:MOST_NAMES],
            ),
        )

    def recorded(self) -> None:
        """Close the pipe and the output files. Call it when the result is in the log."""
        if self.child.output is not None:
            os.close(self.child.output)
        if self.kept_output is not None and self.kept_output.blob is not None:
            self._output.discard()
        else:
            self._output.close()

    def _stopped(self, now_us: int) -> None:
        """Note that a shutdown of the worker ended it. Leftovers are killed after the grace."""
        self._ended, self._undecided_until_us = "worker-stopped", None
        self._kill_at_us = now_us + self.job.spec.grace_us
        self._remind(self._kill_at_us)

    def _read(self) -> bytes | None:
        """Return the next chunk in the pipe; None if it is empty now, b"" at its end."""
        if self.child.output is None:
            return b""
        try:
            return os.read(self.child.output, CHUNK_BYTES)
        except BlockingIOError:
            return None


def order(job: Job, context: Context | None, mark: Mark, queue_label: str) -> Order:
    """Return the program to start for a job, with its directory and environment.

    context: None means the directory `/` and the PATH of the worker.
    """
    env = {"PATH": context.path if context else os.environ.get("PATH", os.defpath)}
    env |= job.spec.env
    env |= {
        "QUEUECTL_JOB": job.id,
        "QUEUECTL_ATTEMPT": str(job.attempt),
        "QUEUECTL_QUEUE": job.spec.queue,
        "QUEUECTL_DB": queue_label,
    }
    if direct := os.environ.get("QUEUECTL_DB_DIRECT"):
        env["QUEUECTL_DB_DIRECT"] = label_of(direct)  # without a password
    return Order(job.spec.command, job.spec.argv, context.cwd if context else "/", env, mark)


def _remind_nobody(at_us: int) -> None:
    """Ignore a reminder: an attempt without a slot gets none."""
