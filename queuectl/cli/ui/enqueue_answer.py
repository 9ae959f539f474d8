"""The answer of `enqueue`: ids in a pipe; on a terminal also due times and existing jobs.

Modules that most calls do not need are imported when they are needed.
"""

import os
import sys
from collections.abc import Iterator

from eventstore.store import Reader, Store
from projections.folds.job import Job
from projections.read_models import contexts, workers

from ...core.clock import SystemClock
from ...core.requests import NewJob
from ...escape import quoted
from ...text.hints import no_worker
from .living_workers import living_workers
from .printer import Printer, line, note

JOBS_NAMED = 5
"""The maximum number of jobs named in each part of the answer; the others are counted."""

QUEUES_AT_MOST = 20
"""The maximum number of queues that are checked for a worker."""

DIRECTORIES_AT_MOST = 20
"""The maximum number of working directories that are checked."""


class EnqueueAnswer:
    """Collects facts about the jobs of one `enqueue`, and prints the answer.

    before: position of the last event in the log before the first job.
    """

    def __init__(self, before: int) -> None:
        self.ids: list[str] = []
        self._new_count, self._first_new, self._last_new = 0, "", ""
        self.existing: list[tuple[Job, str | None]] = []
        """Jobs that existed already, each with the working directory of the new request."""
        self._before = self._newest = before
        self._queues: set[str] = set()
        self._delayed: list[Job] = []
        self._with_passed_time: list[tuple[Job, int]] = []
        self._delayed_count = self._passed_time_count = 0
        self._directories: set[str] = set()

    def take(self, new: NewJob, job: Job) -> None:
        """Add a job. new: its request. job: its state after the request."""
        self.ids.append(job.id)
        if job.born <= self._before:
            self.existing.append((job, new.cwd))
            return
        if job.born > self._newest:  # not the same job again, by its id
            self._newest, self._last_new = job.born, job.id
            self._first_new = self._first_new or job.id
            self._new_count += 1
        if new.cwd is not None and len(self._directories) < DIRECTORIES_AT_MOST:
            self._directories.add(new.cwd)
        if len(self._queues) < QUEUES_AT_MOST:
            self._queues.add(job.spec.queue)
        if job.spec.due_at_us is not None:
            self._delayed_count += 1
            if len(self._delayed) < JOBS_NAMED:
                self._delayed.append(job)
        elif new.run_at_us is not None:
            self._passed_time_count += 1
            if len(self._with_passed_time) < JOBS_NAMED:
                self._with_passed_time.append((job, new.run_at_us))

    def read_context(self, tx: Reader, out: Printer) -> None:
        """Read from the queue what the answer needs. Call this before the transaction ends."""
        self._in_other_directory = list(_in_other_directory(tx, self.existing[:JOBS_NAMED]))
        self._active = workers.active(tx) if out.terminal else []

    def look_for_workers(self, store: Store, out: Printer) -> None:
        """Look up, after the transaction, whether a living worker serves the queues of the jobs."""
        living = living_workers(store, self._active)
        self._worker_hint = no_worker(living, self._queues) if out.terminal else None

    def print(self, out: Printer) -> None:
        """Print the ids, or on a terminal a summary and a hint. Warnings go to stderr."""
        if out.terminal:
            self._print_summary()
        else:
            for job_id in self.ids:
                line(job_id)
        self.warn()
        if out.terminal:
            out.hint(self._worker_hint or f"queuectl show {quoted(self.ids[-1])}")

    def warn(self) -> None:
        """Print warnings: another working directory, a missing one, a time that has passed."""
        for job, directory, requested in self._in_other_directory:
            note(f"job {job.id} already exists and runs in {directory}, not in {requested}")
        for directory in sorted(self._directories):
            if not os.path.isdir(directory):
                note(f"warning: there is no directory {directory} here; jobs cannot run without it")
        for job, at_us in self._with_passed_time:
            note(
                f"warning: the time given for job {job.id} has passed"
                f" ({_when(at_us)}); it can run at once"
            )
        if (more := self._passed_time_count - len(self._with_passed_time)) > 0:
            note(f"... and for {more:,} more")
        if not sys.stdout.isatty() and sys.stderr.isatty():
            for text in self._due():
                note(text)

    def _print_summary(self) -> None:
        if len(self.ids) > 1:
            line("; ".join(self._counts()))
        elif self.existing:
            job, _ = self.existing[0]
            line(f"job {job.id} already exists ({job.state})")
        else:
            line(f"job {self.ids[0]} enqueued")
        for text in self._due():
            line(text)

    def _counts(self) -> Iterator[str]:
        """Yield `2 jobs enqueued: 4 to 5` and `1 already existed: nightly`, or one of them."""
        from ...text.numbers import plural

        if self._new_count:
            ids = (
                self._first_new
                if self._new_count == 1
                else f"{self._first_new} to {self._last_new}"
            )
            yield f"{plural(self._new_count, 'job')} enqueued: {ids}"
        if existing := dict.fromkeys(job.id for job, _ in self.existing):
            jobs = f"{len(existing):,}" if self._new_count else plural(len(existing), "job")
            more = ", …" if len(existing) > JOBS_NAMED else ""
            yield f"{jobs} already existed: {', '.join(list(existing)[:JOBS_NAMED])}{more}"

    def _due(self) -> Iterator[str]:
        for job in self._delayed:
            yield f"job {job.id} is due at {_when(job.spec.due_at_us or 0)}"
        if (more := self._delayed_count - len(self._delayed)) > 0:
            yield f"... and {more:,} more"


def _in_other_directory(
    tx: Reader, existing: list[tuple[Job, str | None]]
) -> Iterator[tuple[Job, str, str]]:
    """Yield the existing jobs whose directory is not the one of the new request.

    Each is a tuple: the job, its directory, the requested directory.
    """
    for job, cwd in existing:
        context = contexts.get(tx, job.spec.context)
        requested = cwd or os.getcwd()
        if context is not None and context.cwd != requested:
            yield job, context.cwd, requested


def _when(at_us: int) -> str:
    """Format a time (UTC, microseconds) with its distance from now."""
    from ...text.timestamps import ago, stamp

    return f"{stamp(at_us)}, {ago(at_us, SystemClock().wall_us())}"
