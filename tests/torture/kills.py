"""Kill rounds: real workers die at random moments, and afterwards every promise is looked at.

A round is a queue of its own with one to three workers. Jobs of all shapes are enqueued, some by
processes that are killed meanwhile; supervisors, keepers and both are killed, stopped and set going
again, each time while jobs run. Then all faults end, a last worker drains the queue, and the log,
the jobs' own ledger and the machine's processes are held against what was acknowledged.
"""

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGKILL, SIGSTOP
from tempfile import TemporaryDirectory
from typing import NamedTuple

from eventstore.events.job import Failed
from eventstore.events.recorded import Recorded
from eventstore.sqlite.verify import verify
from projections.folds.job import Job
from projections.read_models import jobs
from projections.rebuild import compare
from queuectl.api import Queue
from tests.ctl import PROGRAM, Running, until
from tests.house import House, kill_both
from tests.shapes import SHAPES, in_folder
from tests.torture.proof import Proof, Tally

AT_ONCE = 4
"""Rounds beside each other: they mostly wait."""

# Every process of an attempt inherits the lock; who finds it held runs beside an earlier attempt.
JOB = """
exec 9>"lock.$QUEUECTL_JOB"; flock -n 9 || echo "$QUEUECTL_JOB $QUEUECTL_ATTEMPT" >> overlaps
echo "$QUEUECTL_JOB" >> begun
[ "$QUEUECTL_ATTEMPT" -gt 3 ] || { %s
}
echo "$QUEUECTL_JOB" >> ended
"""


class Round:
    """One queue, what was done to it, and what it acknowledged."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.house = House(folder)
        self.acknowledged: list[str] = []
        self._enqueuers: list[subprocess.Popen[str]] = []
        self._workers: list[Running] = []
        self._slots = self.random.randint(1, 4)

    def live(self) -> None:
        """Workers, jobs and faults, for some seconds; then the end of all faults."""
        with ExitStack() as self._ending:
            for _ in range(self.random.randint(1, 3)):
                self._start_worker()
            for shape in self.random.sample(sorted(SHAPES), len(SHAPES)):
                self._enqueue(shape)
            for _ in range(self.random.randint(2, 6)):
                self._await_another_job()
                time.sleep(self.random.uniform(0, 0.1))  # the moment of a fault, not a wait
                self._strike(self.random.choice(self._workers))
            self._collect()
            for running in self._workers:
                self._ask_to_leave(running)
        self.house.drain(slots=4)

    def _start_worker(self) -> None:
        """One that is in the log: before that there is nothing to hit."""
        running = self._ending.enter_context(self.house.worker(slots=self._slots))
        self.house.supervisor(running)
        self._workers.append(running)

    def _enqueue(self, shape: str) -> None:
        lasts = f"sleep {self.random.choice([0.05, 0.3, 1])}"
        command = JOB % SHAPES[shape].replace("sleep 60", lasts)
        self.acknowledged.append(self.house.enqueue(command))

    def _await_another_job(self) -> None:
        """One more job, and until one more has begun: a fault should not hit the idle."""
        before = len(_lines(self.house.work / "begun"))
        self._enqueue(self.random.choice(sorted(SHAPES)))

        def begun() -> bool | None:
            self._workers = [one for one in self._workers if one.process.poll() is None]
            if not self._workers:
                self._start_worker()
            return len(_lines(self.house.work / "begun")) > before or None

        until(begun, "another job to begin")

    def _strike(self, running: Running) -> None:
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
        return next(iter(self.house._supervisors(running)), None)

    def _kill_supervisor(self, running: Running) -> None:
        if pid := self._supervisor(running):
            _send(pid, SIGKILL)

    def _kill_keeper(self, running: Running) -> None:
        if running.process.poll() is None:
            _send(running.pid, SIGKILL)

    def _kill_both(self, running: Running) -> None:
        if pid := self._supervisor(running):
            kill_both(running.pid, pid)

    def _pause(self, running: Running) -> None:
        """A supervisor or a keeper sleeps for a moment."""
        if pid := self._supervisor(running):
            pid = self.random.choice([pid, running.pid])
            _send(pid, SIGSTOP)
            time.sleep(self.random.uniform(0, 0.2))
            _send(pid, SIGCONT)

    def _kill_an_enqueuer(self, _: Running) -> None:
        words = ("--db", str(self.house.path), "enqueue", "--cwd", str(self.house.work), "--")
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
            said, _ = enqueuer.communicate()
            self.acknowledged += said.split()

    def _ask_to_leave(self, running: Running) -> None:
        if running.process.poll() is None:
            running.kill()
            running.ends(30)

    def judge(self) -> list[str]:
        """What of the promises was broken, a line each."""
        with self.house.queue.read() as tx:
            found = {job.id: job for job in jobs.page(tx, jobs.Filter(), limit=1_000)}
            verdict = verify(tx)
        told = [*self._lost(found), *self._left(found), *self._ledger(found)]
        if not verdict.sound:
            told.append(f"verify: {verdict.broken}")
        return told + [f"drift: {one}" for one in compare(self.house.queue.store)[:1]]

    def lost(self) -> int:
        """How many attempts were lost with their worker."""
        ends = (one.event for one in self.house.queue.events())
        return sum(isinstance(one, Failed) and one.reason == "worker-lost" for one in ends)

    def _lost(self, found: dict[str, Job]) -> list[str]:
        lost = [name for name in self.acknowledged if name not in found]
        stuck = [job for job in found.values() if job.state not in ("completed", "dead")]
        return [f"lost {name}" for name in lost] + [self._story(job) for job in stuck]

    def _story(self, job: Job) -> str:
        """Of a stuck job: its events, the last worker's end, and its state by a new connection."""
        with Queue(self.house.path) as anew:
            state = anew.get(job.id).state
        told, last = self.house.told(job.id), self.house.workers()[-1]
        return f"stuck {job.id}: {job.state} (anew: {state}) {told}, last worker: {last.ended}"

    def _left(self, found: dict[str, Job]) -> list[str]:
        """Processes, locks that are held, and files of a moment."""
        told = [f"survivor {pid}" for pid in in_folder(self.house.work)]
        beside = self.house.path.with_name("queue.db.d")
        told += [f"bell {name}" for name in os.listdir(beside / "bells")]
        for name in os.listdir(beside / "locks"):
            lock = self.house.queue.store.lock(name)
            if not lock.acquire():
                told.append(f"held {name}")
            lock.release()
        return told

    def _ledger(self, found: dict[str, Job]) -> list[str]:
        """What the jobs wrote themselves, beside what the log says of them."""
        told = [f"overlap {line}" for line in _lines(self.house.work / "overlaps")]
        ended = set(_lines(self.house.work / "ended"))
        events = list(self.house.queue.events())
        for job in found.values():
            mine = [one for one in events if one.stream == job.id]
            if (successes := sum(one.type == "succeeded" for one in mine)) > 1:
                told.append(f"{successes} successes of {job.id}")
            if job.state == "completed" and job.id not in ended:
                told.append(f"{job.id} is completed and never ended")
            if job.state == "dead" and not _killed_thrice(mine):
                told.append(f"{job.id} is dead: {[one.type for one in mine]}")
        return told


def _killed_thrice(events: list[Recorded]) -> bool:
    """A job that was there at three deaths in a row is taken for their cause."""
    failures = [one.event for one in events if isinstance(one.event, Failed)]
    return [failure.reason for failure in failures[-3:]] == ["worker-lost"] * 3


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it was faster


class Played(NamedTuple):
    """What a round has come to."""

    found: list[str]
    lost: int
    """Attempts that a fault ended: without any the round proves nothing."""


def play(seed: int) -> Played:
    """Play one round. Its moments also depend on the machine."""
    with TemporaryDirectory() as name:
        played = Round(Path(name), seed)
        try:
            played.live()
            until(lambda: not in_folder(played.house.work) or None, "the last to end", 10)
            found = [f"seed {seed}: {line}" for line in played.judge()]
        except AssertionError as error:
            found = [f"seed {seed}: {error}"]
        finally:
            lost = played.lost()
            played.house.queue.close()
        return Played(found, lost)


def kills(amount: int, seed: int) -> Tally:
    """So many rounds, some beside each other."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = list(pool.map(play, range(seed, seed + amount)))
    lost = sum(one.lost for one in played)
    return Tally(
        amount, [line for one in played for line in one.found], f"{lost:,} attempts cut short"
    )


def reclaims(amount: int, seed: int) -> Tally:
    """From the kill of a supervisor to the next claim of its job, one worker after the other."""
    took_s = []
    with TemporaryDirectory() as name:
        house = House(Path(name))
        for _ in range(amount):
            with house.worker(slots=1) as running:
                job = house.enqueue("[ $QUEUECTL_ATTEMPT = 2 ] || exec sleep 60")
                house.wait_for(job, "claimed")
                killed_us = time.time_ns() // 1000
                _send(house.supervisor(running), SIGKILL)
                assert house.wait(job) == ["completed"]
                again = [one for one in house.events(job) if one.type == "claimed"][1]
                took_s.append((again.recorded_at_us - killed_us) / 1e6)
        house.queue.close()
    took_s.sort()
    late = took_s[int(len(took_s) * 0.99)]
    found = [f"{second:.2f} s" for second in took_s if second >= 1]
    return Tally(amount, found, f"median {took_s[len(took_s) // 2]:.2f} s, p99 {late:.2f} s")


RECLAIMS = Proof(
    name="reclaims",
    promise="the job of a killed supervisor is claimed again within a second",
    unit="kills",
    in_test=2,
    in_prove=10,
    in_torture=300,
    run=reclaims,
)

KILLS = Proof(
    name="kills",
    promise="workers, keepers and enqueuers killed at random: nothing lost, twice, beside, or left",
    unit="rounds",
    in_test=4,
    in_prove=50,
    in_torture=3_000,
    run=kills,
)
