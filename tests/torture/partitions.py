"""Three hosts share a queue; one of them is cut off, or its worker stopped or killed.

Each job ticks every 4 ms, from a grandchild in a session of its own, into a file that all hosts
share; so the ticks show how long two attempts ran at once, and how long no attempt ran.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGKILL, SIGSTOP
from tempfile import TemporaryDirectory
from typing import NamedTuple

from eventstore.location import create_on_server
from projections.read_models import workers
from projections.registry import first_schema
from queuectl.api import Queue
from queuectl.core.requests import SetConfig
from queuectl.worker.lease import beat_us
from tests.ctl import PROGRAM, Running, until
from tests.hosts import Host, Machines, machines, missing_for_hosts
from tests.postgres import installations

from .proof import Proof, Tally

LEASE_S = 10
LATEST_S = LEASE_S + 2 * beat_us(LEASE_S * 1_000_000) / 1e6
"""A worker of another host is taken over at the latest after this time."""
NOTICE_S = 2.0
"""On a busy machine, from a takeover to the first tick of the next attempt."""
ALLOWED_MS = 500
"""If all processes of a host continue, the job may run until its worker does, on a busy machine."""
GROUPS = 4
"""Groups of three hosts that run at the same time."""

TICKER = """
import os, sys, time
path, stop = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        attempt = os.environ["QUEUECTL_ATTEMPT"]
        while not os.path.exists(stop):
            os.write(file, f"{attempt} {time.clock_gettime_ns(time.CLOCK_BOOTTIME)}\\n".encode())
            time.sleep(0.004)
    else:
        os._exit(0)
while not os.path.exists(stop):
    time.sleep(0.02)
"""


class Fault(NamedTuple):
    """A fault of one host, and how it ends."""

    name: str
    begin: Callable[[Host], None]
    end: Callable[[Host], None] = lambda _: None
    takes_over: bool = True
    """Whether another host must take over the job; else it may also go on where it is."""
    allowed_ms: float = 0
    """How long two attempts may run at the same time."""
    goes_on: bool = False
    """Whether all jobs must go on, and none may run again."""


def _signal(number: int, *which: int) -> Callable[[Host], None]:
    """Return a fault: a signal to the keeper (0), the supervisor (1), or both."""

    def send(host: Host) -> None:
        pids = host.workers()
        for index in which:
            os.kill(pids[index], number)

    return send


def _to_all(number: int) -> Callable[[Host], None]:
    def send(host: Host) -> None:
        for pid in host.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    return send


def _stop_keeper_and_cut(host: Host) -> None:
    _signal(SIGSTOP, 0)(host)
    host.cut_off()


def _reconnect_and_continue(host: Host) -> None:
    host.reconnect()
    _signal(SIGCONT, 0)(host)  # not its jobs: they may be frozen


def _cut_off_for_a_while(host: Host) -> None:
    """Cut it off for longer than half a lease, and shorter than a lease."""
    host.cut_off()
    time.sleep(LEASE_S * 0.56)
    host.reconnect()


FAULTS = (
    Fault("cut off", Host.cut_off, Host.reconnect),
    Fault("cut off for a while", _cut_off_for_a_while, takes_over=False, goes_on=True),
    Fault("keeper stopped, and cut off", _stop_keeper_and_cut, _reconnect_and_continue),
    Fault("supervisor stopped", _signal(SIGSTOP, 1), _to_all(SIGCONT), takes_over=False),
    Fault("supervisor killed", _signal(SIGKILL, 1)),
    Fault("keeper killed", _signal(SIGKILL, 0)),
    Fault("power failure", Host.power_off),
    Fault("all processes stopped", _to_all(SIGSTOP), _to_all(SIGCONT), allowed_ms=ALLOWED_MS),
)
"""What happens to a host."""

IN_RESTART = ("keeper killed", "power failure")
"""Faults after which the worker of the host must be started again."""


UNFENCED = (
    sys.executable,
    "-c",
    """
from queuectl.worker.lease import Lease
Lease.confirmed = lambda self, sent_us: sent_us + 10**12
from queuectl.entry import program
program()""",
)
"""The control: a program whose workers never end their jobs by time."""


class Group:
    """Three hosts with a worker each, and their queue."""

    def __init__(
        self,
        machines: Machines,
        hosts: Sequence[Host],
        folder: Path,
        seed: int,
        program: Sequence[str],
        faults: Sequence[Fault],
    ) -> None:
        self._program, self._faults = program, faults
        self._hosts, self._folder, self._random = hosts, folder, Random(seed)
        self._name = f"group-{hosts[0].name}"
        self._url = machines.url(self._name)
        local = machines.server.url(self._name)
        create_on_server(local, first_schema)
        self._local = local
        self._workers: dict[str, Running] = {}
        self.findings: list[str] = []
        self.longest_s, self.longest_ms = 0.0, 0.0
        """The latest takeover, and the longest time that two attempts ran at once."""

    def _start(self, host: Host) -> Running:
        words = ("worker", "start", "-v", "--count", "3")
        worker = host.start(self._url, *words, program=self._program)
        worker.says("runs 3 jobs at a time")
        return worker

    def rounds(self, numbers: Iterable[int]) -> None:
        """Run the rounds with these numbers, in one thread, with workers on all hosts."""
        with Queue(self._local) as self.queue:
            self.queue.send(SetConfig(key="lease", value=LEASE_S * 1_000_000))
            try:
                for host in self._hosts:
                    self._workers[host.name] = self._start(host)
                for number in numbers:
                    self._round(number)
            finally:
                for worker in self._workers.values():
                    worker.process.kill()

    def _round(self, number: int) -> None:
        """Run one fault, and judge the ticks of all jobs."""
        fault = self._random.choice(self._faults)
        stop = self._folder / f"stop-{self._name}-{number}"
        jobs = {self._tick(number, k, stop): k for k in range(len(self._hosts))}
        files = {job: self._file(number, k) for job, k in jobs.items()}
        until(lambda: all(map(ticks, files.values())) or None, "the ticks of all jobs")
        job = self._random.choice(list(jobs))
        host = self._host_of(job)
        time.sleep(self._random.uniform(0, LEASE_S / 12))
        fault.begin(host)
        began_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        again_s = self._wait_for_second(files[job], fault)
        fault.end(host)
        if fault.name in IN_RESTART:
            self._restart(host, fault)
        stop.touch()
        states = [self.queue.wait(job, timeout_s=60)[0].state for job in jobs]
        self._judge(number, fault, files, states, again_s and again_s - began_s)

    def _tick(self, number: int, k: int, stop: Path) -> str:
        argv = [sys.executable, "-c", TICKER, str(self._file(number, k)), str(stop)]
        return self.queue.enqueue(argv).id

    def _file(self, number: int, k: int) -> Path:
        return self._folder / f"ticks-{self._name}-{number}-{k}"

    def _host_of(self, job: str) -> Host:
        claim = self.queue.get(job)
        with self.queue.read() as tx:
            worker = workers.get(tx, claim.worker or "")
        assert worker is not None
        return next(host for host in self._hosts if host.name == worker.started.host)

    def _wait_for_second(self, file: Path, fault: Fault) -> float | None:
        """Wait for the first tick of the second attempt; return its time in seconds, if any."""
        end_s = time.monotonic() + LATEST_S + NOTICE_S
        while time.monotonic() < end_s:
            if (second := ticks(file).get(2)) is not None:
                return second[0] / 1e9
            if not (fault.takes_over or fault.goes_on) and time.monotonic() > end_s - LATEST_S:
                return None
            time.sleep(0.02)
        return None

    def _restart(self, host: Host, fault: Fault) -> None:
        self._workers[host.name].process.kill()
        if fault.name == "power failure":
            host.power_on()
        self._workers[host.name] = self._start(host)

    def _judge(
        self,
        number: int,
        fault: Fault,
        files: dict[str, Path],
        states: Sequence[str],
        after_s: float | None,
    ) -> None:
        where = f"{self._name}, round {number}, {fault.name}"
        if set(states) != {"completed"}:
            self.findings.append(f"{where}: the jobs are {states}")
        if fault.takes_over and after_s is None:
            self.findings.append(f"{where}: not taken over within {LATEST_S + NOTICE_S} s")
        self.longest_s = max(self.longest_s, after_s or 0)
        for job, file in files.items():
            if fault.goes_on and len(ticks(file)) > 1:
                self.findings.append(f"{where}: job {job} ran again")
            overlap_ms = overlap_of(ticks(file))
            self.longest_ms = max(self.longest_ms, overlap_ms)
            if overlap_ms > fault.allowed_ms:
                self.findings.append(f"{where}: job {job} ran twice for {overlap_ms:.1f} ms")


def ticks(file: Path) -> dict[int, tuple[int, int]]:
    """Return the first and the last tick of each attempt, in nanoseconds since the boot."""
    times: dict[int, list[int]] = {}
    if file.exists():
        for line in file.read_text().splitlines():
            attempt, at_ns = line.split()
            times.setdefault(int(attempt), []).append(int(at_ns))
    return {attempt: (min(all_ns), max(all_ns)) for attempt, all_ns in times.items()}


def overlap_of(attempts: dict[int, tuple[int, int]]) -> float:
    """Return for how many milliseconds an attempt ran on after a later one had begun."""
    overlaps_ns = [
        last - attempts[later][0]
        for attempt, (_, last) in attempts.items()
        for later in attempts
        if later > attempt
    ]
    return max([0, *overlaps_ns]) / 1e6


def partitions(
    amount: int,
    seed: int,
    program: Sequence[str] = PROGRAM,
    faults: Sequence[Fault] = FAULTS,
) -> Tally:
    """Run so many rounds, in several groups at the same time. program: how workers are started."""
    if (missing := missing_for_hosts()) is not None:
        return Tally(amount, [], f"not on this machine: {missing}")
    amount_of_groups = min(GROUPS, amount)
    names = [f"host-{seed}-{number}" for number in range(3 * amount_of_groups)]
    with (
        TemporaryDirectory() as name,
        machines(next(iter(installations())), Path(name), names) as all_,
        ThreadPoolExecutor(amount_of_groups) as pool,
    ):
        groups = [
            Group(all_, all_.hosts[first : first + 3], Path(name), seed + first, program, faults)
            for first in range(0, len(names), 3)
        ]
        shares = [range(number, amount, amount_of_groups) for number in range(amount_of_groups)]
        list(pool.map(Group.rounds, groups, shares))
    findings = [line for group in groups for line in group.findings]
    longest_s = max(group.longest_s for group in groups)
    longest_ms = max(group.longest_ms for group in groups)
    note = f"lease {LEASE_S} s: taken over within {longest_s:.1f} s; twice for {longest_ms:.0f} ms"
    return Tally(amount, findings, note)


PARTITIONS = Proof(
    name="partitions",
    guarantee="three hosts: one is cut off, stopped, killed: no attempts at the same time",
    unit="rounds",
    in_test=0,
    in_prove=8,
    in_torture=200,
    run=partitions,
)
