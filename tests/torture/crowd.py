"""Many hosts work on one queue on a server, and many programs enqueue; nothing goes wrong."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from signal import SIGINT
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from eventstore.location import create_on_server
from projections.read_models import counts
from projections.registry import first_schema
from queuectl.api import Queue
from tests.ctl import PROGRAM, Running
from tests.hosts import Host, Machines, machines, missing_for_hosts
from tests.postgres import installations

from .crowd_enqueuers import LATEST_S, Report
from .crowd_samples import Sampler
from .proof import Proof, Tally

HOSTS = 8
SLOTS = 4
ENQUEUERS = 4
"""Threads per host that enqueue."""
QUEUE = "crowd"
DRAIN_S = 120
"""All jobs have ended so long after the last one was enqueued."""

OF_WORKER, OF_ENQUEUER = 4, 3
"""Connections: for rounds, beats, bell and outputs; and for writing, reading and bell."""

EXPECTED = re.compile(r"worker \S+ runs |SIGTERM or SIGINT: |Finishing |Stopped: ")
"""The lines that a worker prints if nothing is wrong."""
WRONG = re.compile(r"ERROR|FATAL|PANIC|WARNING|deadlock")
"""In the log of the server."""
LOCKED = "canceling statement due to lock timeout"
"""A worker waits at most two seconds for the lock of the writers, and then tries again."""

ENQUEUING = (sys.executable, "-m", "tests.torture.crowd_enqueuers")


class Load(NamedTuple):
    """What a run has done."""

    report: Report
    seconds: float
    events: int
    sampler: Sampler


class Crowd:
    """The hosts, their workers and their enqueuers."""

    def __init__(self, all_: Machines, folder: Path, seed: int) -> None:
        self._machines, self._folder, self._seed = all_, folder, seed
        self._local = all_.server.url(QUEUE)
        create_on_server(self._local, first_schema)
        self._workers: dict[Host, Running] = {}
        self.findings: list[str] = []
        self.locked = 0
        """How often a worker waited for the lock of the writers in vain."""

    def run(self, seconds: int) -> Load:
        """Run the load for so long, drain the queue, stop the workers and judge all."""
        try:
            self._start_workers()
            load = self._load(seconds)
            self._stop_workers()
        finally:
            for worker in self._workers.values():
                worker.process.kill()
        self.findings += load.report.findings
        self.findings += load.sampler.findings(HOSTS * (OF_WORKER + ENQUEUERS * OF_ENQUEUER) + 1)
        self.findings += overlaps(self._folder.glob("marks-*"))
        self._check_log()
        return load

    def _start_workers(self) -> None:
        url = self._machines.url(QUEUE)
        for host in self._machines.hosts:
            self._workers[host] = host.start(url, "worker", "start", "--count", str(SLOTS))
        for worker in self._workers.values():
            worker.says("at a time")

    def _load(self, seconds: int) -> Load:
        supervisors = [host.workers()[1] for host in self._machines.hosts]
        sampler = Sampler(self._machines.server.database("postgres"), QUEUE, supervisors, seconds)
        try:
            with Queue(self._local) as queue:
                began_s, before = time.monotonic(), queue.store.head().position
                report = self._enqueued(seconds)
                took_s = time.monotonic() - began_s
                events = queue.store.head().position - before
                self._drain(queue)
        finally:
            sampler.end()
        return Load(report, took_s, events, sampler)

    def _enqueued(self, seconds: int) -> Report:
        """Run the enqueuers on all hosts, and return their common report."""
        url, total = self._machines.url(QUEUE), Report()
        running = [
            host.start(
                url, str(seconds), str(seed), str(ENQUEUERS), str(self._folder), program=ENQUEUING
            )
            for seed, host in enumerate(self._machines.hosts, self._seed * HOSTS)
        ]
        for host, enqueuer in zip(self._machines.hosts, running, strict=True):
            result = enqueuer.ends(seconds + LATEST_S)
            if result.code or result.err:
                self.findings.append(f"enqueuers of {host.name}: {result.code}: {result.err}")
                continue
            report = msgspec.json.decode(result.out, type=Report)
            total.jobs += report.jobs
            total.waits_ms += report.waits_ms
            total.findings += report.findings
        return total

    def _drain(self, queue: Queue) -> None:
        """Wait until all jobs have ended."""
        end_s = time.monotonic() + DRAIN_S
        while states := _not_ended(queue):
            if time.monotonic() > end_s:
                self.findings.append(f"not ended after {DRAIN_S} s: {states}")
                return
            time.sleep(0.5)

    def _stop_workers(self) -> None:
        for host in self._workers:
            os.kill(host.workers()[0], SIGINT)
        for host, worker in self._workers.items():
            try:
                result = worker.ends()
            except subprocess.TimeoutExpired:
                self.findings.append(f"worker of {host.name}: it does not end")
                continue
            wrong = [line for line in result.err.splitlines() if not EXPECTED.match(line)]
            if result.code or wrong:
                self.findings.append(f"worker of {host.name}: {result.code}: {wrong}")

    def _check_log(self) -> None:
        """Verify the log and the views, and read the log of the server."""
        environment = {**os.environ, "QUEUECTL_DB": self._local}
        for words in (("verify", "--outputs"), ("replay", "--check")):
            done = subprocess.run(
                [*PROGRAM, *words], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                self.findings.append(f"{words}: {done.stdout}{done.stderr}")
        for line in (self._machines.server.folder / "log").read_text().splitlines():
            if LOCKED in line:
                self.locked += 1
            elif WRONG.search(line):
                self.findings.append(f"server: {line}")


def _not_ended(queue: Queue) -> dict[str, int]:
    """Return the numbers of jobs that have not ended, by state."""
    with queue.read() as tx:
        states = counts.total(tx).states
    return {
        state: amount
        for state, amount in states.items()
        if amount and state in ("pending", "processing", "scheduled", "failed")
    }


def overlaps(files: Iterable[Path]) -> Iterator[str]:
    """Yield a finding for each job of which two attempts ran at the same time.

    files: with the lines `begin JOB ATTEMPT` and `end JOB ATTEMPT`, in the order of the time.
    """
    for file in files:
        running: set[str] = set()
        for line in file.read_text().splitlines():
            what, job, attempt = line.split()
            if what == "end":
                running.discard(job)
            elif job in running:
                yield f"attempt {attempt} of job {job} began before the last one ended"
            else:
                running.add(job)
        yield from (f"job {job} began and did not end" for job in running)


def crowd(amount: int, seed: int) -> Tally:
    """Run the load for so many seconds."""
    if (missing := missing_for_hosts()) is not None:
        return Tally(amount, [], f"not on this machine: {missing}")
    names = [f"host-{number}" for number in range(1, HOSTS + 1)]
    with (
        TemporaryDirectory() as name,
        machines(next(iter(installations())), Path(name), names) as all_,
    ):
        crowd = Crowd(all_, Path(name), seed)
        load = crowd.run(amount)
    note = f"{_note(load)}; {crowd.locked} times the lock came too late"
    return Tally(amount, crowd.findings, note)


def _note(load: Load) -> str:
    percentiles = quantiles(load.report.waits_ms, n=100) if load.report.waits_ms else [0.0] * 99
    return (
        f"{load.report.jobs / load.seconds:.0f} jobs/s, {load.events / load.seconds:.0f} events/s; "
        f"enqueued → first instruction p50 {percentiles[49]:.0f} ms, p99 {percentiles[98]:.0f} ms; "
        f"{load.sampler.note()}"
    )


CROWD = Proof(
    name="crowd",
    guarantee="8 hosts and 32 programs that enqueue: no error, no job twice, nothing grows",
    unit="seconds",
    in_test=0,
    in_prove=20,
    in_torture=3_600,
    run=crowd,
)
