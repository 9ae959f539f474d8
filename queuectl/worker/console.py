"""The messages of a worker to the person at its terminal: lines on stderr."""

import os
from collections import Counter
from collections.abc import Callable

from eventstore.events.job import Usage
from projections.folds.job import FINAL, STATES, Job, State

from ..escape import visible
from ..text.durations import duration
from ..text.exit_lists import zero_explained
from ..text.hints import with_db_option
from ..text.numbers import plural
from ..text.outcomes import how_ended, stragglers
from ..text.processes import unendable_advice
from .process_sweep import Unendable
from .rounds import Result
from .stopping import Urgency

LEAVING = {"until-empty": "Queue is empty", "until-idle": "Idle"}
"""The reason why a worker exits, if it was not stopped."""
LONGEST = 60
"""The most characters of a name or a command in a line about a job."""


def write_to_stderr(text: str) -> None:
    """Write one line. Never fails: the terminal may be closed, and the log has the same facts."""
    try:
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        pass


class Console:
    """Prints lines to stderr. jobs: report the start and the result of each job."""

    def __init__(
        self,
        *,
        jobs: bool,
        quiet: bool = False,
        terminal: bool = False,
        db: str | None = None,
        write: Callable[[str], None] = write_to_stderr,
    ) -> None:
        """quiet: report only problems. terminal: Ctrl-C can be pressed. db: value of `--db`."""
        self._write = write
        self._terminal = terminal
        self._jobs, self._quiet, self._db = jobs, quiet, db
        self._last = ""
        self._finals: Counter[State] = Counter()
        self._requeued = 0
        self._failed = 0

    @property
    def dead(self) -> int:
        """Number of jobs that became dead in this worker."""
        return self._finals["dead"]

    def say(self, text: str) -> None:
        """Print a line about a problem, unless it equals the last line."""
        if text != self._last:
            self._last = text
            self._write(text)

    def talk(self, text: str) -> None:
        """Print a line about normal operation, unless the worker is quiet."""
        if not self._quiet:
            self.say(text)

    def unendable(self, job_id: str, processes: list[Unendable]) -> None:
        """Report processes that signals have not ended."""
        for process in processes:
            self.say(f"job {visible(job_id)}: {unendable_advice(*process)}")

    def stopping(self, urgency: Urgency, running: int) -> None:
        """Report that the worker stops while attempts are running. running: their number."""
        jobs, them = ("1 job", "it") if running == 1 else (f"{running} jobs", "them")
        match urgency:
            case Urgency.DRAIN:
                self.talk(f"Finishing {jobs}{self._again(f'stop {them}')}")
            case Urgency.NOW:
                self.talk(f"Stopping {jobs}{self._again(f'kill {them}')}")
            case _:
                self.talk(f"Killing {jobs}")

    def frozen(self, running: int) -> None:
        """Report that the lease has ended. running: the number of jobs that are frozen."""
        be = "is" if running == 1 else "are"
        jobs = f"its {plural(running, 'job')} {be} frozen" if running else "it does nothing"
        self.say(f"the server has not confirmed this worker in time; {jobs} until it answers")

    def waits_frozen(self) -> None:
        """Report that a worker that is to stop waits, as its jobs are frozen."""
        self.say(
            "the jobs are frozen, and finish when the server has answered; another signal kills"
            " them, and the worker exits"
        )

    def thawed(self, running: int) -> None:
        """Report that the server has confirmed this worker. running: how many jobs go on."""
        go_on = f"; {plural(running, 'job')} go{'es' if running == 1 else ''} on" if running else ""
        self.say(f"the server answers again{go_on}")

    def _again(self, effect: str) -> str:
        return f" (Ctrl-C again to {effect})" if self._terminal else ""

    def greet(self, worker_id: str, slots: int, queues: tuple[str, ...], path: str) -> None:
        """Report that the worker is ready, what it serves and how to stop it."""
        jobs = "1 job" if slots == 1 else f"{slots} jobs"
        served = f" from {visible(', '.join(queues))}" if queues else ""
        self.talk(f"worker {worker_id} runs {jobs} at a time{served}, queue {visible(path)}")
        self.talk(
            "Press Ctrl-C to finish running jobs and exit, twice to stop them."
            if self._terminal
            else "SIGTERM or SIGINT: finish running jobs and exit. A second one: stop them."
        )

    def started(self, job: Job) -> None:
        """Report that an attempt was started."""
        if self._jobs:
            retry = f", attempt {job.attempt}" if job.attempt > 1 else ""
            self._write(f"{_label(job)} started{retry}: {_shortened(job.spec.command)}")

    def closing(self, reason: str) -> None:
        """Report that the worker exits: the reason, and how many jobs ended in which state."""
        summary = self._summary()
        if reason == "until-idle":
            rest = "no other job can run now" if summary else "no job can run now"
            summary = f"{summary}; {rest}" if summary else rest
        self.talk(f"{LEAVING.get(reason, 'Stopped')}: {summary or 'no job was run'}.")

    def _summary(self) -> str:
        """Return a summary such as `2 completed, 1 requeued`; empty if no attempt ended here."""
        counts = [f"{self._finals[state]:,} {state}" for state in STATES if self._finals[state]]
        if self._requeued:
            counts.append(f"{self._requeued:,} requeued")
        if not counts and self._failed:
            counts = [f"{plural(self._failed, 'attempt')} failed"]
        return ", ".join(counts)

    def died(self, job: Job) -> None:
        """Report a job that is dead because its worker was lost each time."""
        self._finals["dead"] += 1
        see = with_db_option("see queuectl dlq list", self._db)
        self._write(f"{_with_command(job)} dead: its worker was lost three times in a row; {see}")

    def ended(self, result: Result, job: Job | None) -> None:
        """Report the result of an attempt.

        job: its state after the attempt; None if the claim was no longer current.
        """
        if job is None:
            self.say(
                f"job {result.job.id}: attempt {result.job.attempt} was taken over,"
                " its result was discarded"
            )
            return
        self._count(job.state)
        if self._jobs or (self._quiet and job.state == "dead"):
            see = with_db_option("; see queuectl dlq list", self._db) if job.state == "dead" else ""
            usage = result.outcome.usage
            leftover = stragglers(usage.stragglers, usage.straggler_names)
            label = _label(job) if self._jobs else _with_command(job)
            self._write(f"{label} {_became(result, job)}{f'; {leftover}' if leftover else ''}{see}")

    def _count(self, state: State) -> None:
        """Count an attempt that ended here. state: the state of its job after it."""
        if state in FINAL:
            self._finals[state] += 1
        elif state == "pending":
            self._requeued += 1
        else:
            self._failed += 1


def _label(job: Job) -> str:
    """Return a label such as `job 7 (nightly backup)`, or `job 7` if the job has no name."""
    name = f" ({_shortened(job.spec.name)})" if job.spec.name else ""
    return f"job {visible(job.id)}{name}"


def _with_command(job: Job) -> str:
    """Return the label with the name of the job, or with its command if it has no name."""
    return _label(job) if job.spec.name else f"{_label(job)} ({_shortened(job.spec.command)})"


def _shortened(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _became(result: Result, job: Job) -> str:
    """Return the new state of the job in words, with the reason and what follows."""
    usage = result.outcome.usage
    match job.state:
        case "completed":
            return f"completed in {duration(usage.duration_us)}"
        case "dead":
            return f"dead: {_how(result, usage, job)}"
        case "failed":
            delay_us = (job.due_at_us or 0) - job.changed_at_us
            return f"failed: {_how(result, usage, job)}; retry in {duration(delay_us)}"
        case "pending":
            return "stopped and requeued"
        case _:
            return job.state


def _how(result: Result, usage: Usage, job: Job) -> str:
    """Return how the attempt ended, in words, and how long it ran."""
    outcome = result.outcome
    words = visible(how_ended(outcome.ended, outcome.exit_code, outcome.signal, outcome.error))
    words += zero_explained(job)
    return f"{words} after {duration(usage.duration_us)}" if usage.duration_us else words
