"""A queue with real workers, for tests that kill or disturb them."""

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
from queuectl.worker.process_sweep import alive, stopped
from tests.ctl import DEADLINE_S, PROGRAM, Ctl, Running, until
from tests.places import file_of, new_place
from tests.unsynced import unsynced


class LiveQueue:
    """A queue in its own folder, and a working directory for its jobs."""

    def __init__(self, folder: Path, work: Path | None = None) -> None:
        self._file = folder / "queue.db"
        self.place = new_place(self._file)
        self.work = work or folder / "work"
        self.work.mkdir(exist_ok=True)
        self.queue = unsynced(Queue(self.place))

    @property
    def path(self) -> Path:
        """The path of the queue file. Skips the test if the queue is on a server."""
        return file_of(self._file)

    def enqueue(self, command: str, **options: Any) -> str:
        """Enqueue a job that runs in the folder `work`, and return its id."""
        return self.queue.enqueue(command, cwd=str(self.work), **options).id

    @contextmanager
    def worker(
        self, *words: str, slots: int = 2, descriptors: int | None = None
    ) -> Iterator[Running]:
        """Run `worker start WORDS` during the block, then kill keeper and supervisor.

        descriptors: its limit of open files, if it differs from that of this process.
        """
        start = ("--db", self.place, "worker", "start", "-v", "--count", str(slots), *words)
        running = _limited(start, descriptors) if descriptors else Ctl(Path.cwd()).start(*start)
        process = running.process
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                until(lambda: not self.supervisors(running) or None, "the supervisor's end")

    def drain(self, slots: int = 2, descriptors: int | None = None) -> Running:
        """Run a worker until the queue is empty, and return it."""
        with self.worker("--until-empty", slots=slots, descriptors=descriptors) as running:
            assert running.ends().code == 0, running.err
        return running

    def supervisor(self, running: Running) -> int:
        """Return the pid of the supervisor of a worker's keeper."""
        return until(lambda: self.supervisors(running) or None, "a supervisor")[-1]

    def supervisors(self, running: Running) -> list[int]:
        """Return the pids of the living supervisors of a worker's keeper, oldest first."""
        with self.queue.read() as tx:
            active = [w for w in workers.newest(tx, 20) if w.started.keeper_pid == running.pid]
        return [w.started.pid for w in reversed(active) if alive(w.started.pid)]

    @classmethod
    def copied(cls, other: "LiveQueue", folder: Path) -> "LiveQueue":
        """Return a copy of another queue; its jobs have the same working directory."""
        source, target = apsw.Connection(str(other.path)), apsw.Connection(str(folder / "queue.db"))
        with target.backup("main", source, "main") as copying:
            copying.step()
        for connection in (target, source):
            connection.close()
        (folder / "queue.db").chmod(0o600)
        return cls(folder, other.work)

    def workers(self) -> list[Worker]:
        """Return all workers, ended ones too, oldest first."""
        with self.queue.read() as tx:
            return workers.newest(tx, 100)[::-1]

    def event_types(self, job_id: str) -> list[str]:
        """Return the types of the job's events, in order."""
        return [recorded.type for recorded in self.events(job_id)]

    def events(self, job_id: str) -> list[Recorded]:
        """Return the job's events."""
        return [recorded for recorded in self.queue.events() if recorded.stream == job_id]

    def wait_for(self, job_id: str, event_type: str, **data: object) -> Any:
        """Wait for an event of the job with this type and data, and return the first one."""

        def match() -> Any:
            for recorded in self.events(job_id):
                if recorded.type == event_type and all(
                    getattr(recorded.event, name) == value for name, value in data.items()
                ):
                    return recorded.event
            return None

        return until(match, f"{event_type} of job {job_id}: {self.event_types(job_id)}")

    def wait(self, *job_ids: str) -> list[str]:
        """Wait until the jobs have ended, and return their states."""
        return [job.state for job in self.queue.wait(*job_ids, timeout_s=DEADLINE_S)]


def kill(pid: int) -> None:
    """Send SIGKILL."""
    os.kill(pid, SIGKILL)


def kill_both(keeper: int, supervisor: int) -> None:
    """Kill both at once: the keeper is stopped first, so it cannot react to the other's death.

    Return when both have ended: a killed process closes its files before it is seen as dead. Raises
    ProcessLookupError if the keeper had ended before.
    """
    os.kill(keeper, SIGSTOP)
    for pid in (supervisor, keeper):
        os.kill(pid, SIGKILL)
    until(lambda: not any(map(alive, (supervisor, keeper))) or None, "the end of both")


def freeze(*pids: int) -> None:
    """Stop a keeper and its supervisor; again if one has continued the other."""

    def stop_all() -> bool | None:
        for pid in pids:
            os.kill(pid, SIGSTOP)
        seen = [stopped(pid) for _ in range(2) for pid in pids]
        return all(seen) or None  # at the second look none could continue another

    until(stop_all, "all to be stopped")


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
