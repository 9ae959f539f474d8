"""One attempt at a job, from its launch until nothing of it lives: process, output, ending."""

import os
from collections.abc import Callable
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import Literal

from eventstore.events.job import FailureReason, Usage
from projections.folds.context import Context
from projections.folds.job import Job

from ..core.requests import Outcome
from ..outputs.writer import Kept, OutputWriter
from .launcher import Child, Exit, Launcher, Order
from .process_mark import Mark
from .process_sweep import STUCK_US, Unendable

CHUNK_BYTES = 65_536
LAST_CHUNKS = 32
"""Read at the end at the most: someone who was handed the pipe may go on writing for ever."""
MOST_NAMES = 10
"""Of processes left behind that are recorded."""
QUICK_US = 1_000_000
"""Output of a job that goes on for longer than this is written where `logs -f` sees it."""

SHUTDOWN = frozenset({SIGHUP, SIGINT, SIGTERM})
"""Signals that init, systemd or a container runtime sends to all processes at once."""
SHELL_OFFSET = 128
"""A shell whose command was ended by signal n exits with 128 + n."""
STOP_SEEN_US = 250_000
"""Within this time of a job's death by a shutdown signal its worker has seen its own signal."""
EXIT_SEEN_US = 50_000
"""The same for a job that exits: a program that catches the signal may exit with any code. It is
shorter because every failure is recorded that much later."""

Ended = FailureReason | Literal["cancelled"]


class Attempt:
    """A running attempt.

    Times are of the monotonic clock.
    """

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
        self.printed: Kept | None = None
        self._output, self._launcher = output, launcher
        self._started_us = now_us
        self._ended: Ended = "exit"
        self._exit: Exit | None = None
        self._duration_us = 0
        self._kill_at_us: int | None = None
        self._worker_stops = False
        self._undecided_until_us: int | None = None
        """Until when a stop of the worker would explain how the main process ended."""
        self._signalled_until_us = 0
        """Until when a failure is taken for the effect of a signal that stops the worker."""
        self.decided_at_us = 0
        """From when on no stop signal can explain any more how it ended."""
        self._look_at_us: int | None = None
        """When to look for processes that no signal ends."""
        self._stragglers: dict[int, str] = {}
        """Name by pid."""
        self._remind: Callable[[int], None] = _unheard

    def begin(self, remind: Callable[[int], None]) -> None:
        """It sits in its slot. remind: asks for a call of `reminded` at a time."""
        self._remind = remind
        if self.job.spec.timeout_us is not None:
            remind(self._started_us + self.job.spec.timeout_us)

    def read(self, now_us: int) -> bool:
        """Take in a chunk of what it printed; False at the end of it."""
        data = self._read()
        if data:
            if not self._output.total_bytes:
                self._remind(now_us + QUICK_US)
            self._output.take(data)
        return data != b""

    def reminded(self, now_us: int) -> None:
        """Do what is due: its time is up, its grace is over, its output is to be seen."""
        timeout_us = self.job.spec.timeout_us
        if timeout_us is not None and now_us >= self._started_us + timeout_us:
            self.end("timeout", now_us)
        if self._kill_at_us is not None and now_us >= self._kill_at_us:
            self._launcher.send({self.mark}, SIGKILL)
            self._look_soon(now_us)
        if self._output.total_bytes:
            self._output.spill()

    def end(self, why: Ended, now_us: int) -> None:
        """Ask all of it to end: TERM now, KILL after its grace. The first reason stands."""
        if self._ended == "exit" and self._exit is None:
            self._ended = why
            self._kill_at_us = now_us + self.job.spec.grace_us
            self._remind(self._kill_at_us)
            self._launcher.send({self.mark}, SIGTERM)
            self._look_soon(now_us)

    def kill(self, why: Ended, now_us: int) -> None:
        """End all of it without grace."""
        if self._ended == "exit" and self._exit is None:
            self._ended = why
        self._undecided_until_us = None
        self._kill_at_us = 0
        self._launcher.send({self.mark}, SIGKILL)
        self._look_soon(now_us)

    def unendable(self, now_us: int) -> list[Unendable]:
        """Its processes that no signal ends, a while after one was sent; each time once."""
        if self._look_at_us is None or now_us < self._look_at_us:
            return []
        self._look_at_us = None
        return self._launcher.unendable(self.mark)

    def _look_soon(self, now_us: int) -> None:
        if self._look_at_us is None:
            self._look_at_us = now_us + STUCK_US
            self._remind(self._look_at_us)

    def worker_stops(self, now_us: int) -> None:
        """Note that the worker was asked to stop: a shutdown signals the jobs as well."""
        self._worker_stops = True
        if self._undecided_until_us is not None:
            self._stopped(now_us)

    def worker_signalled(self, now_us: int) -> None:
        """Note that a stop signal came to the worker; the jobs may have had it just before."""
        self._signalled_until_us = now_us + STOP_SEEN_US
        if now_us < self.decided_at_us:
            self._ended, self.decided_at_us = "worker-stopped", 0

    def exited(self, exit_: Exit, now_us: int) -> None:
        """Its main process has ended. Longer than its timeout is a timeout, whatever it says.

        The kernel keeps no time of its end, so the duration is up to when the worker noticed it.
        """
        self._exit = exit_
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
        """Whether nothing of it lives any more. What it left behind is ended: at once, or after
        the grace where we ended it, for a shell often dies before what it runs has tidied up.

        A death by a shutdown signal is kept back for a moment: the jobs of a machine that shuts
        down may die before their worker has seen its own signal."""
        if self._exit is None:
            return False
        if self._undecided_until_us is not None:
            if now_us < self._undecided_until_us:
                return False
            self._undecided_until_us = None
        if self._ended == "exit" and self.job.spec.background == "keep":
            self._launcher.keep(self.mark)
            return True
        left = self._launcher.orphans(self.mark)
        if left and (self._kill_at_us is None or now_us >= self._kill_at_us):
            if not self._stragglers:
                self._look_soon(now_us)
            self._stragglers |= self._launcher.kill(left)
        return not left

    def outcome(self) -> Outcome:
        """How it ended, once it is gone; what was left in the pipe is taken in first."""
        assert self._exit is not None
        for _ in range(LAST_CHUNKS):
            if not (data := self._read()):
                break
            self._output.take(data)
        self.printed = kept = self._output.finish()
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
        """Its end is in the log: let go of pipe and files."""
        if self.child.output is not None:
            os.close(self.child.output)
        if self.printed is not None and self.printed.blob is not None:
            self._output.discard()
        else:
            self._output.close()

    def _stopped(self, now_us: int) -> None:
        """The shutdown that stops the worker has ended it; the rest of it has its grace."""
        self._ended, self._undecided_until_us = "worker-stopped", None
        self._kill_at_us = now_us + self.job.spec.grace_us
        self._remind(self._kill_at_us)

    def _read(self) -> bytes | None:
        """What is in the pipe; None when nothing is at the moment."""
        if self.child.output is None:
            return b""
        try:
            return os.read(self.child.output, CHUNK_BYTES)
        except BlockingIOError:
            return None


def order(job: Job, context: Context | None, mark: Mark, queue_path: str) -> Order:
    """What to start for a job. Where its context is unknown: the root, and the worker's PATH."""
    env = {"PATH": context.path if context else os.environ.get("PATH", os.defpath)}
    env |= job.spec.env
    env |= {
        "QUEUECTL_JOB": job.id,
        "QUEUECTL_ATTEMPT": str(job.attempt),
        "QUEUECTL_QUEUE": job.spec.queue,
        "QUEUECTL_DB": queue_path,
    }
    return Order(job.spec.command, job.spec.argv, context.cwd if context else "/", env, mark)


def _unheard(at_us: int) -> None:
    """Nobody reminds one that has no slot."""
