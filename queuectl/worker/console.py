"""What a worker tells the person at its terminal: on stderr, a line at a time."""

import os
from collections import Counter

from eventstore.events.job import Usage
from projections.folds.job import FINAL, STATES, Job, State

from ..escape import visible
from ..text.durations import duration
from ..text.exit_lists import zero_explained
from ..text.hints import with_db_option
from ..text.numbers import plural
from ..text.outcomes import manner, stragglers
from ..text.processes import unendable_advice
from .process_sweep import Unendable
from .rounds import Result
from .stopping import Urgency

LEAVING = {"until-empty": "Queue is empty", "until-idle": "Idle"}
"""Why a worker leaves, if nobody stopped it."""
LONGEST = 60
"""Characters of a name or a command in a line about a job."""


class Telling:
    """Lines to stderr. What each job came to is told where `jobs` is set: a person watches."""

    def __init__(
        self, *, jobs: bool, quiet: bool = False, terminal: bool = False, db: str | None = None
    ) -> None:
        """quiet: say only what went wrong. terminal: Ctrl-C can be pressed. db: of `--db`."""
        self._terminal = terminal
        self._jobs, self._quiet, self._db = jobs, quiet, db
        self._last = ""
        self._finals: Counter[State] = Counter()
        self._requeued = 0
        self._failed = 0

    @property
    def dead(self) -> int:
        """How many jobs have died here."""
        return self._finals["dead"]

    def say(self, text: str) -> None:
        """A line about something wrong, unless it is the one said last."""
        if text != self._last:
            self._last = text
            _write(text)

    def talk(self, text: str) -> None:
        """A line about the ordinary course of things: not for those who want quiet."""
        if not self._quiet:
            self.say(text)

    def unendable(self, job_id: str, processes: list[Unendable]) -> None:
        """An attempt was to end, and these of its processes do not."""
        for process in processes:
            self.say(f"job {visible(job_id)}: {unendable_advice(*process)}")

    def stopping(self, urgency: Urgency, running: int) -> None:
        """Someone asked to stop while something runs."""
        jobs, them = ("1 job", "it") if running == 1 else (f"{running} jobs", "them")
        match urgency:
            case Urgency.DRAIN:
                self.talk(f"Finishing {jobs}{self._again(f'stop {them}')}")
            case Urgency.NOW:
                self.talk(f"Stopping {jobs}{self._again(f'kill {them}')}")
            case _:
                self.talk(f"Killing {jobs}")

    def _again(self, what: str) -> str:
        return f" (Ctrl-C again to {what})" if self._terminal else ""

    def greet(self, worker_id: str, slots: int, queues: tuple[str, ...], path: str) -> None:
        """The worker is ready: what it does, and how to stop it."""
        jobs = "1 job" if slots == 1 else f"{slots} jobs"
        served = f" from {visible(', '.join(queues))}" if queues else ""
        self.talk(f"worker {worker_id} runs {jobs} at a time{served}, queue {visible(path)}")
        self.talk(
            "Press Ctrl-C to finish running jobs and exit, twice to stop them."
            if self._terminal
            else "SIGTERM or SIGINT: finish running jobs and exit. A second one: stop them."
        )

    def started(self, job: Job) -> None:
        """An attempt has begun."""
        if self._jobs:
            retry = f", attempt {job.attempt}" if job.attempt > 1 else ""
            _write(f"{_label(job)} started{retry}: {_shortened(job.spec.command)}")

    def closing(self, reason: str) -> None:
        """The worker leaves: why, and what has become of the jobs that ended here."""
        summary = self._summary()
        if reason == "until-idle":
            rest = "no other job can run now" if summary else "no job can run now"
            summary = f"{summary}; {rest}" if summary else rest
        self.talk(f"{LEAVING.get(reason, 'Stopped')}: {summary or 'no job was run'}.")

    def _summary(self) -> str:
        """`2 completed, 1 requeued`; empty if no attempt ended here."""
        counts = [f"{self._finals[state]:,} {state}" for state in STATES if self._finals[state]]
        if self._requeued:
            counts.append(f"{self._requeued:,} requeued")
        if not counts and self._failed:
            counts = [f"{plural(self._failed, 'attempt')} failed"]
        return ", ".join(counts)

    def died(self, job: Job) -> None:
        """A job has died with its worker, for the last time."""
        self._finals["dead"] += 1
        see = with_db_option("see queuectl dlq list", self._db)
        _write(f"{_with_command(job)} dead: its worker was lost each time; {see}")

    def ended(self, result: Result, job: Job | None) -> None:
        """What an attempt has come to."""
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
            left = stragglers(usage.stragglers, usage.straggler_names)
            what = _label(job) if self._jobs else _with_command(job)
            _write(f"{what} {_became(result, job)}{f'; {left}' if left else ''}{see}")

    def _count(self, state: State) -> None:
        """Count an attempt that ended here. state: of its job now."""
        if state in FINAL:
            self._finals[state] += 1
        elif state == "pending":
            self._requeued += 1
        else:
            self._failed += 1


def _label(job: Job) -> str:
    """`job 7 (nightly backup)`; `job 7` if it has no name."""
    name = f" ({_shortened(job.spec.name)})" if job.spec.name else ""
    return f"job {visible(job.id)}{name}"


def _with_command(job: Job) -> str:
    """`job 7 (make film)`, or `job 7 (nightly backup)` if it has a name."""
    return _label(job) if job.spec.name else f"{_label(job)} ({_shortened(job.spec.command)})"


def _shortened(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _became(result: Result, job: Job) -> str:
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
    outcome = result.outcome
    words = visible(manner(outcome.ended, outcome.exit_code, outcome.signal, outcome.error))
    words += zero_explained(job)
    return f"{words} after {duration(usage.duration_us)}" if usage.duration_us else words


def _write(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        pass  # the terminal is gone; the log has it all
