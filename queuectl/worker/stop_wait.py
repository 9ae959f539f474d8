"""Waiting for a worker that was asked to stop: continue it, report its jobs, or kill it.

The request itself is an event in the log: see docs/decisions/0005.
"""

import time
from signal import SIGCONT

from projections.folds.worker import Worker
from projections.read_models import jobs

from ..api import Queue
from ..escape import visible
from ..text.durations import duration
from .liveness import is_elsewhere, living_processes
from .takeover import kill, signal_processes, wake

END_WITHIN_S = 10.0
"""How long a worker may take to end, in addition to the grace of its jobs."""


class HoldUp:
    """A worker that must end. force: its jobs are to be ended, so it may be killed as well."""

    def __init__(self, queue: Queue, worker: Worker, *, force: bool) -> None:
        self.worker = worker
        self._queue, self._force = queue, force
        self._begun_s = time.monotonic()
        self._reported: set[str] = set()
        # Its doorbell may be missing. SIGCONT makes it read the log, and continues it if stopped.
        self._stopped = wake(worker)
        signal_processes(living_processes(worker), SIGCONT)

    def look(self) -> str | None:
        """Return a new message for the user who waits; None if there is none."""
        worker, name = self.worker, f"worker {self.worker.id}"
        stopped, self._stopped = self._stopped or wake(worker), []
        if stopped and (words := self._once(f"{name} was stopped by a signal; continued it")):
            return words
        with self._queue.read() as tx:
            running = jobs.of_worker(tx, worker.id)
        grace_s = max((job.spec.grace_us for job in running), default=0) / 1e6 if self._force else 0
        if time.monotonic() - self._begun_s < grace_s + END_WITHIN_S:
            return None
        if self._force and (pids := living_processes(worker)):
            kill(worker)
            killed = ", ".join(map(str, pids))
            return self._once(f"{name} did not answer; killed it (process {killed})")
        names = ", ".join(job.id for job in running)
        doing = f"finishes {names}" if names else "does not answer"
        return self._once(f"waiting for {name}, which {doing}{self._where()}")

    def _where(self) -> str:
        """Return where a worker on another machine is, and what to do if that is gone."""
        if not is_elsewhere(self._queue.store, self.worker):
            return ""
        host, lease_us = visible(self.worker.started.host), self.worker.started.lease_us
        todo = f"queuectl worker forget {self.worker.id}"
        if lease_us is None:
            return f", on {host}; if that machine is gone: {todo}"
        lease = f"if that machine is gone, its lease ends within {duration(lease_us)}"
        return f", on {host}; {lease}, or at once by {todo}"

    def _once(self, words: str) -> str | None:
        if words in self._reported:
            return None
        self._reported.add(words)
        return words
