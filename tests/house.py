"""A queue file and its workers, as a test that breaks them handles them: real processes."""

import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGSTOP
from typing import Any

import apsw

from eventstore.events.recorded import Recorded
from projections.folds.worker import Worker
from projections.read_models import workers
from queuectl import Queue
from queuectl.worker.process_sweep import alive
from tests.ctl import DEADLINE_S, PROGRAM, Ctl, Running, until


class House:
    """A queue in a folder of its own, and a folder in which its jobs work."""

    def __init__(self, folder: Path, work: Path | None = None) -> None:
        self.path = folder / "queue.db"
        self.work = work or folder / "work"
        self.work.mkdir(exist_ok=True)
        self.queue = Queue(self.path)

    def enqueue(self, command: str, **options: Any) -> str:
        """The id of a new job that works in the folder of jobs."""
        return self.queue.enqueue(command, cwd=str(self.work), **options).id

    @contextmanager
    def worker(
        self, *words: str, slots: int = 2, descriptors: int | None = None
    ) -> Iterator[Running]:
        """`worker start WORDS` for the length of the block; then it is killed whole.

        descriptors: how many it may have open, where not as many as we.
        """
        start = ("--db", str(self.path), "worker", "start", "-v", "--count", str(slots), *words)
        running = _limited(start, descriptors) if descriptors else Ctl(Path.cwd()).start(*start)
        process = running.process
        try:
            yield running
        finally:
            if process.poll() is None:
                pids = [self.supervisor(running)] if self._supervisors(running) else []
                process.kill()
                process.wait()
                until(lambda: not any(map(alive, pids)) or None, "the supervisor's end")

    def drain(self, slots: int = 2, descriptors: int | None = None) -> Running:
        """A worker that has run until nothing was left to do."""
        with self.worker("--until-empty", slots=slots, descriptors=descriptors) as running:
            assert running.ends().code == 0, running.err
        return running

    def supervisor(self, running: Running) -> int:
        """The pid of the supervisor below a worker's keeper."""
        return until(lambda: self._supervisors(running) or None, "a supervisor")[-1]

    def _supervisors(self, running: Running) -> list[int]:
        with self.queue.read() as tx:
            active = [w for w in workers.newest(tx, 20) if w.started.keeper_pid == running.pid]
        return [w.started.pid for w in reversed(active) if alive(w.started.pid)]

    @classmethod
    def copied(cls, other: "House", folder: Path) -> "House":
        """A queue that is a copy of another, whose jobs work where the other's do."""
        source, target = apsw.Connection(str(other.path)), apsw.Connection(str(folder / "queue.db"))
        with target.backup("main", source, "main") as copying:
            copying.step()
        for connection in (target, source):
            connection.close()
        (folder / "queue.db").chmod(0o600)
        return cls(folder, other.work)

    def workers(self) -> list[Worker]:
        """All there ever were, oldest first."""
        with self.queue.read() as tx:
            return workers.newest(tx, 100)[::-1]

    def told(self, job_id: str) -> list[str]:
        """The types of the job's events, in order."""
        return [recorded.type for recorded in self.events(job_id)]

    def events(self, job_id: str) -> list[Recorded]:
        """The job's events."""
        return [one for one in self.queue.events() if one.stream == job_id]

    def wait_for(self, job_id: str, event_type: str, **data: object) -> Any:
        """The first such event of the job; waits until the log has it."""

        def look() -> Any:
            for one in self.events(job_id):
                if one.type == event_type and all(
                    getattr(one.event, name) == value for name, value in data.items()
                ):
                    return one.event
            return None

        return until(look, f"{event_type} of job {job_id}: {self.told(job_id)}")

    def wait(self, *job_ids: str) -> list[str]:
        """The states of the jobs, once all are final."""
        return [job.state for job in self.queue.wait(*job_ids, timeout_s=DEADLINE_S)]


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, SIGKILL)


def kill_both(keeper: int, supervisor: int) -> None:
    """SIGKILL to both at once: the keeper, stopped first, sees nothing of the other's death.

    Returns once both have ended: a killed process closes its files before it is seen as dead.
    """
    os.kill(keeper, SIGSTOP)
    for pid in (supervisor, keeper):
        os.kill(pid, SIGKILL)
    until(lambda: not any(map(alive, (supervisor, keeper))) or None, "the end of both")


def _limited(words: Sequence[str], descriptors: int) -> Running:
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(_limit, descriptors),
    )
    return Running(process)


def _limit(descriptors: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
