"""What holds up a worker that was asked to stop: continue it, say what it runs, kill it at last."""

import time
from signal import SIGCONT

from projections.folds.worker import Worker
from projections.read_models import jobs

from ..api import Queue
from .takeover import kill, processes, signal_processes, wake

PATIENCE_S = 10.0
"""How long a worker may take to end beyond the grace of its jobs."""


class HoldUp:
    """One worker that is waited for. force: its jobs are to be ended, and so it may be killed."""

    def __init__(self, queue: Queue, worker: Worker, *, force: bool) -> None:
        self.worker = worker
        self._queue, self._force = queue, force
        self._begun_s = time.monotonic()
        self._said: set[str] = set()
        # Its doorbell may be gone: SIGCONT makes it look, and continues it where it is stopped.
        self._stopped = wake(worker)
        signal_processes(processes(worker), SIGCONT)

    def look(self) -> str | None:
        """Return what to tell the person who waits, each thing once; None if there is nothing."""
        worker, name = self.worker, f"worker {self.worker.id}"
        stopped, self._stopped = self._stopped or wake(worker), []
        if stopped and (words := self._once(f"{name} was stopped by a signal; continued it")):
            return words
        with self._queue.read() as tx:
            running = jobs.of_worker(tx, worker.id)
        grace_s = max((job.spec.grace_us for job in running), default=0) / 1e6 if self._force else 0
        if time.monotonic() - self._begun_s < grace_s + PATIENCE_S:
            return None
        if self._force and (pids := processes(worker)):
            kill(worker)
            killed = ", ".join(map(str, pids))
            return self._once(f"{name} did not answer; killed it (process {killed})")
        names = ", ".join(job.id for job in running)
        doing = f"finishes {names}" if names else "does not answer"
        return self._once(f"waiting for {name}, which {doing}")

    def _once(self, words: str) -> str | None:
        if words in self._said:
            return None
        self._said.add(words)
        return words
