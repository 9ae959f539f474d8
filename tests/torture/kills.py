"""Kill rounds: real workers die at random moments, and then every guarantee is checked.

A round has its own queue with one to three workers. Jobs of all shapes are enqueued, some by
processes that are killed while they do so. Supervisors, keepers and both are killed, or stopped and
continued, each time while jobs run. Then all faults end, a last worker drains the queue, and the
log, the jobs' own notes and the machine's processes are compared with the acknowledged jobs.
"""

import os
import subprocess
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGKILL, SIGSTOP
from tempfile import TemporaryDirectory
from typing import NamedTuple

from eventstore.errors import StoreError
from eventstore.events.job import Failed
from eventstore.events.recorded import Recorded
from eventstore.sqlite.reader import SqliteReader
from eventstore.verify import verify
from projections.folds.job import Job
from projections.read_models import jobs
from projections.rebuild import compare
from queuectl.api import Queue
from queuectl.worker.liveness import living_processes
from tests.ctl import PROGRAM, Running, until
from tests.live_queue import LiveQueue, kill_both
from tests.shapes import SHAPES, in_folder
from tests.torture.proof import Proof, Tally

AT_ONCE = 4
"""Rounds that run in parallel: they mostly wait."""
TRIES = 3
"""Kills of which one has to be followed by a claim within a second."""

# Every process of an attempt inherits the lock; if it is held, an earlier attempt is still running.
JOB = """
exec 9>"lock.$QUEUECTL_JOB"; flock -n 9 || echo "$QUEUECTL_JOB $QUEUECTL_ATTEMPT" >> overlaps
echo "$QUEUECTL_JOB" >> begun
[ "$QUEUECTL_ATTEMPT" -gt 3 ] || { %s
}
echo "$QUEUECTL_JOB" >> ended
"""


class Round:
    """A queue, the faults of its workers, and the jobs that it acknowledged."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.live_queue = LiveQueue(folder)
        self.acknowledged: list[str] = []
        self._enqueuers: list[subprocess.Popen[str]] = []
        self._workers: list[Running] = []
        self._slots = self.random.randint(1, 4)

    def live(self) -> None:
        """Run workers, jobs and faults for some seconds; then drain without faults."""
        with ExitStack() as self._ending:
            for _ in range(self.random.randint(1, 3)):
                self._start_worker()
            for shape in self.random.sample(sorted(SHAPES), len(SHAPES)):
                self._enqueue(shape)
            for _ in range(self.random.randint(2, 6)):
                self._wait_for_another_job()
                time.sleep(self.random.uniform(0, 0.1))  # the moment of a fault, not a wait
                self._inject_fault(self.random.choice(self._workers))
            self._collect()
            for running in self._workers:
                self._stop_worker(running)
        self.live_queue.drain(slots=4)

    def _start_worker(self) -> None:
        """Start a worker and wait until its start is recorded."""
        running = self._ending.enter_context(self.live_queue.worker(slots=self._slots))
        self.live_queue.supervisor(running)
        self._workers.append(running)

    def _enqueue(self, shape: str) -> None:
        lasts = f"sleep {self.random.choice([0.05, 0.3, 1])}"
        command = JOB % SHAPES[shape].replace("sleep 60", lasts)
        self.acknowledged.append(self.live_queue.enqueue(command))

    def _wait_for_another_job(self) -> None:
        """Enqueue a job and wait until one has started, so that the fault hits a busy worker."""
        before = len(_lines(self.live_queue.work / "begun"))
        self._enqueue(self.random.choice(sorted(SHAPES)))

        def begun() -> bool | None:
            self._workers = [worker for worker in self._workers if worker.process.poll() is None]
            if not self._workers:
                self._start_worker()
            return len(_lines(self.live_queue.work / "begun")) > before or None

        until(begun, "another job to begin")

    def _inject_fault(self, running: Running) -> None:
        faults: list[Callable[[Running], None]] = [
            self._kill_supervisor,
            self._kill_keeper,
            self._kill_both,
            self._pause,
            self._kill_an_enqueuer,
        ]
        self.random.choice(faults)(running)

    def _supervisor(self, running: Running) -> int | None:
        if running.process.poll() is not None:
            return None
        return next(iter(self.live_queue.supervisors(running)), None)

    def _kill_supervisor(self, running: Running) -> None:
        if pid := self._supervisor(running):
            _send(pid, SIGKILL)

    def _kill_keeper(self, running: Running) -> None:
        if running.process.poll() is None:
            _send(running.pid, SIGKILL)

    def _kill_both(self, running: Running) -> None:
        if pid := self._supervisor(running):
            with suppress(ProcessLookupError):  # the keeper has just ended
                kill_both(running.pid, pid)

    def _pause(self, running: Running) -> None:
        """Stop a supervisor or a keeper for a moment."""
        if pid := self._supervisor(running):
            pid = self.random.choice([pid, running.pid])
            _send(pid, SIGSTOP)
            time.sleep(self.random.uniform(0, 0.2))
            _send(pid, SIGCONT)

    def _kill_an_enqueuer(self, _: Running) -> None:
        path, folder = str(self.live_queue.path), str(self.live_queue.work)
        words = ("--db", path, "enqueue", "--cwd", folder, "--")
        enqueuer = subprocess.Popen(
            [*PROGRAM, *words, JOB % "true"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._enqueuers.append(enqueuer)
        time.sleep(self.random.uniform(0, 0.12))
        enqueuer.kill()

    def _collect(self) -> None:
        for enqueuer in self._enqueuers:
            printed, _ = enqueuer.communicate()
            self.acknowledged += printed.split()

    def _stop_worker(self, running: Running) -> None:
        if running.process.poll() is None:
            running.kill()
            running.ends()

    def wait_for_the_end(self) -> None:
        """Wait until no job and no worker has a process.

        A supervisor whose keeper was killed is still leaving after it has requeued its jobs.
        """

        def ended() -> bool | None:
            workers = self.live_queue.workers()
            left = in_folder(self.live_queue.work) or any(map(living_processes, workers))
            return not left or None

        until(ended, "the last process to end")

    def judge(self) -> list[str]:
        """Return the broken guarantees, one line each."""
        with self.live_queue.queue.read() as tx:
            recorded = {job.id: job for job in jobs.page(tx, jobs.Filter(), limit=1_000)}
            assert isinstance(tx, SqliteReader)
            verdict = verify(tx)
        findings = [*self._lost(recorded), *self._leftovers(), *self._ledger(recorded)]
        if not verdict.sound:
            findings.append(f"verify: {verdict.broken}")
        return findings + [f"drift: {row}" for row in compare(self.live_queue.queue.store)[:1]]

    def lost(self) -> int:
        """Return how many attempts were lost with their worker."""
        events = (recorded.event for recorded in self.live_queue.queue.events())
        return sum(isinstance(event, Failed) and event.reason == "worker-lost" for event in events)

    def _lost(self, recorded: dict[str, Job]) -> list[str]:
        lost = [name for name in self.acknowledged if name not in recorded]
        stuck = [job for job in recorded.values() if job.state not in ("completed", "dead")]
        return [f"lost {name}" for name in lost] + [self._story(job) for job in stuck]

    def _story(self, job: Job) -> str:
        """Describe a stuck job: its events, the last worker's end, its state if reopened."""
        with Queue(self.live_queue.path) as again:
            state = again.get(job.id).state
        events, last = self.live_queue.event_types(job.id), self.live_queue.workers()[-1]
        return f"stuck {job.id}: {job.state} (again: {state}) {events}, worker: {last.ended}"

    def _leftovers(self) -> list[str]:
        """Return remaining processes, held locks and doorbells."""
        findings = [f"survivor {pid}" for pid in in_folder(self.live_queue.work)]
        side_folder = self.live_queue.path.with_name("queue.db.d")
        findings += [f"bell {name}" for name in os.listdir(side_folder / "bells")]
        for name in os.listdir(side_folder / "locks"):
            lock = self.live_queue.queue.store.lock(name)
            if not lock.acquire():
                findings.append(f"held {name}")
            lock.release()
        return findings

    def _ledger(self, recorded: dict[str, Job]) -> list[str]:
        """Compare the notes that the jobs wrote themselves with the log."""
        findings = [f"overlap {line}" for line in _lines(self.live_queue.work / "overlaps")]
        ended = set(_lines(self.live_queue.work / "ended"))
        events = list(self.live_queue.queue.events())
        for job in recorded.values():
            mine = [event for event in events if event.stream == job.id]
            if (successes := sum(event.type == "succeeded" for event in mine)) > 1:
                findings.append(f"{successes} successes of {job.id}")
            if job.state == "completed" and job.id not in ended:
                findings.append(f"{job.id} is completed and never ended")
            if job.state == "dead" and not _killed_thrice(mine):
                findings.append(f"{job.id} is dead: {[event.type for event in mine]}")
        return findings


def _killed_thrice(events: list[Recorded]) -> bool:
    """Return whether a job was lost with its worker three times in a row, so that it is dead."""
    failures = [recorded.event for recorded in events if isinstance(recorded.event, Failed)]
    return [failure.reason for failure in failures[-3:]] == ["worker-lost"] * 3


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended already


class Played(NamedTuple):
    """The result of a round."""

    findings: list[str]
    lost: int
    """Number of attempts that were lost by a fault: with none the round proves nothing."""


def play(seed: int) -> Played:
    """Run one round. Its timing also depends on the machine."""
    with TemporaryDirectory() as name:
        played = Round(Path(name), seed)
        try:
            played.live()
            played.wait_for_the_end()
            findings = [f"seed {seed}: {line}" for line in played.judge()]
        except (AssertionError, OSError, StoreError, subprocess.TimeoutExpired):
            findings = [f"seed {seed}: {traceback.format_exc()}"]
        finally:
            lost = played.lost()
            played.live_queue.queue.close()
        return Played(findings, lost)


def kills(amount: int, seed: int) -> Tally:
    """Run so many rounds, AT_ONCE in parallel."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = list(pool.map(play, range(seed, seed + amount)))
    lost = sum(result.lost for result in played)
    return Tally(
        amount,
        [line for result in played for line in result.findings],
        f"{lost:,} attempts cut short",
    )


class Reclaim(NamedTuple):
    """The seconds until a claim."""

    first_s: float
    """From the start of a worker to its first claim."""
    again_s: float
    """From the kill of its supervisor to the next claim of the same job."""

    @property
    def late(self) -> bool:
        """Whether it took a second, and not just because the machine is slow."""
        return self.again_s >= max(1, 3 * self.first_s)


def reclaims(amount: int, seed: int) -> Tally:
    """Measure the time from the kill of a supervisor to the next claim of its job.

    Other programs may delay a claim, so the quickest of TRIES kills counts.
    """
    with TemporaryDirectory() as name:
        live = LiveQueue(Path(name))
        took = [_quickest(live) for _ in range(amount)]
        live.queue.close()
    took_s = sorted(reclaim.again_s for reclaim in took)
    late = took_s[int(len(took_s) * 0.99)]
    findings = [f"{reclaim.again_s:.2f} s" for reclaim in took if reclaim.late]
    return Tally(amount, findings, f"median {took_s[len(took_s) // 2]:.2f} s, p99 {late:.2f} s")


def _quickest(live: LiveQueue) -> Reclaim:
    for _ in range(TRIES - 1):
        if not (reclaim := _reclaim(live)).late:
            return reclaim
    return _reclaim(live)


def _reclaim(live: LiveQueue) -> Reclaim:
    job = live.enqueue("[ $QUEUECTL_ATTEMPT = 2 ] || exec sleep 60")
    began_us = time.time_ns() // 1000
    with live.worker(slots=1) as running:
        live.wait_for(job, "claimed")
        supervisor = live.supervisor(running)
        killed_us = time.time_ns() // 1000
        _send(supervisor, SIGKILL)
        assert live.wait(job) == ["completed"]
    first, again = (event for event in live.events(job) if event.type == "claimed")
    return Reclaim(
        (first.recorded_at_us - began_us) / 1e6, (again.recorded_at_us - killed_us) / 1e6
    )


RECLAIMS = Proof(
    name="reclaims",
    guarantee="the job of a killed supervisor is claimed again within a second",
    unit="kills",
    in_test=2,
    in_prove=10,
    in_torture=300,
    run=reclaims,
)

KILLS = Proof(
    name="kills",
    guarantee="workers, keepers, enqueuers killed at random: no loss, double, overlap, leftover",
    unit="rounds",
    in_test=4,
    in_prove=50,
    in_torture=3_000,
    run=kills,
)
