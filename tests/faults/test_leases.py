"""Two machines share a queue on a server: links are cut, processes are stopped, the server is away.

A machine is a folder for state of its own: its locks are not those of the other one. Each job ticks
from a grandchild that left its session, and no tick of an attempt may come after the first of the
next one. A lease lasts 10 s, the shortest there is, so most of these are proofs.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from eventstore.location import create_on_server
from projections.registry import first_schema
from queuectl.worker.process_sweep import alive
from tests.ctl import Ctl, Result, Running, until
from tests.faults.link import Link
from tests.postgres import Server

pytest.importorskip("psycopg", reason="psycopg is not installed")

LEASE_S = 10

OTHER_MACHINE = Path(__file__).parent / "other_machine"
"""A folder for PYTHONPATH: programs then have another boot id, or no fence."""

TICKING = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        attempt = os.environ["QUEUECTL_ATTEMPT"]
        with open(sys.argv[1], "a", buffering=1) as file:
            while True:
                file.write(f"{attempt} {time.monotonic()}\\n")
                time.sleep(0.004)
    os._exit(0)
time.sleep(1000)
"""


class Machine:
    """A machine with its own state and its own link to the server."""

    def __init__(self, folder: Path, server: Server, queue: str) -> None:
        folder.mkdir()
        self.link = Link(folder / "link", server.folder)
        self.ctl = Ctl(folder)
        self.ctl.env |= {
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": f"{OTHER_MACHINE}:{self.ctl.env['PYTHONPATH']}",
            "QUEUECTL_TESTS_BOOT": folder.name,
        }
        self.ctl.env["QUEUECTL_DB"] = (
            f"postgresql://postgres@/postgres?host={self.link.folder}&queue={queue}"
        )

    def ctl_here(self, *words: str, code: int) -> Result:
        """Run a command on this machine."""
        with self.ctl.executed(*words) as command:
            result = command.ends()
        assert result.code == code, result
        return result

    @contextmanager
    def worker(self, *words: str) -> Iterator[Running]:
        """Run a worker during the block; its processes are killed afterwards."""
        with self.ctl.executed("worker", "start", *words) as worker:
            try:
                yield worker
            finally:
                self.link.open()
                worker.kill(SIGCONT)


class Site:
    """Two machines, a queue, and the ticks of its jobs."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.queue = f"leases-{os.urandom(4).hex()}"
        create_on_server(server.url(self.queue), first_schema)
        self.a, self.b = (Machine(folder / name, server, self.queue) for name in "ab")
        self.direct = Ctl(folder)
        self.direct.env["QUEUECTL_DB"] = server.url(self.queue)
        self.direct("config", "set", "lease", f"{LEASE_S}s")
        self._ticks = folder / "ticks"
        self._ticks.touch()
        self._program = folder / "ticking.py"
        self._program.write_text(TICKING)

    def enqueue(self) -> str:
        command = f"{sys.executable} {self._program} {self._ticks}"
        return self.direct.enqueue(command, grace=0.1)

    @contextmanager
    def both(self) -> Iterator[tuple[Running, Running]]:
        """Run a worker on each machine during the block; the first one runs job 1."""
        self.enqueue()
        with self.a.worker() as first:
            self.await_attempt(1)
            with self.b.worker() as second:
                second.says("runs 1 job")
                yield first, second

    def be_cut_off(self, seconds: float) -> None:
        """Keep both machines from the server for some time."""
        for machine in (self.a, self.b):
            machine.link.refuse()
        time.sleep(seconds)
        for machine in (self.a, self.b):
            machine.link.open()

    def ticks(self, attempt: int) -> list[float]:
        """Return the times at which an attempt has ticked."""
        lines = [line.split() for line in self._ticks.read_text().splitlines()]
        return [float(line[1]) for line in lines if len(line) == 2 and line[0] == str(attempt)]

    def await_attempt(self, attempt: int, within_s: float = 100) -> float:
        """Wait for the first tick of an attempt, and return its time."""
        return until(lambda: self.ticks(attempt) or None, f"attempt {attempt}", within_s)[0]

    def overlap_s(self) -> float:
        """Return the longest time for which two attempts have ticked at once."""
        attempts = [ticks for number in range(1, 9) if (ticks := self.ticks(number))]
        return max([0.0, *(before[-1] - after[0] for before, after in pairwise(attempts))])

    def lost(self) -> list[tuple[str, str]]:
        """Return how workers were lost, and who found it."""
        events = self.direct("events", "--type", "worker-lost", "--json").json["events"]
        return [(event["data"].get("how", "locks"), event["actor"]) for event in events]


@pytest.fixture
def site(tmp_path: Path, postgres: Server) -> Iterator[Site]:
    site = Site(tmp_path, postgres)
    yield site
    for machine in (site.a, site.b):
        machine.link.close()


def supervisor_of(worker: Running) -> int:
    return next(iter(children(worker.pid)))


def children(pid: int) -> set[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {*map(int, listed.split())}


def cut_silently(machine: Machine, worker: Running) -> None:
    machine.link.silence()


def cut_by_reset(machine: Machine, worker: Running) -> None:
    machine.link.refuse()


def stop_keeper_and_cut(machine: Machine, worker: Running) -> None:
    worker.kill(SIGSTOP)
    machine.link.silence()


def freeze(site: Site, worker: Running, fault: object) -> float:
    """Cut the first machine off until its job is frozen; return a time after its last tick."""
    fault(site.a, worker)  # type: ignore[operator]
    worker.says("its 1 job is frozen until it answers")
    return time.monotonic()


def says_that_it_lost_its_jobs(line: str) -> bool:
    """Recognize the message of the supervisor, or that of its keeper if its deadline is earlier."""
    return "were taken over" in line or "lost its lease" in line


def descendants(pid: int) -> list[int]:
    """Return the processes below a process."""
    return [*children(pid), *(deeper for child in children(pid) for deeper in descendants(child))]


@pytest.mark.proof
@pytest.mark.parametrize("fault", [cut_silently, cut_by_reset, stop_keeper_and_cut])
def test_a_worker_that_is_cut_off_freezes_its_jobs_before_others_run_them(
    site: Site, fault: object
) -> None:
    with site.both() as (first, second):
        cut_s = time.monotonic()
        fault(site.a, first)  # type: ignore[operator]
        began_s = site.await_attempt(2) - cut_s
        assert site.overlap_s() == 0
        assert site.ticks(1)[-1] - cut_s < LEASE_S / 2 + LEASE_S / 12 + 1
        assert began_s < LEASE_S + 3 * LEASE_S / 12 + 2
        assert [how for how, _ in site.lost()] == ["lease"]
        second.says("which did not beat for its lease")
        ticks = len(site.ticks(1))
        site.a.link.open()
        first.line(says_that_it_lost_its_jobs)
        first.kill(SIGCONT)
        time.sleep(1)
        assert len(site.ticks(1)) == ticks


@pytest.mark.proof
def test_without_a_fence_both_attempts_run_at_once(site: Site) -> None:
    """The control: the worker keeps its jobs when it is cut off."""
    site.a.ctl.env["QUEUECTL_TESTS_UNFENCED"] = "1"
    with site.both() as (first, _):
        site.a.link.silence()
        site.await_attempt(2)
        until(lambda: site.overlap_s() > 0.5 or None, "both attempts at once")
        site.a.link.open()
        first.line(says_that_it_lost_its_jobs)


@pytest.mark.proof
def test_both_stopped_ends_the_old_attempt_when_one_of_them_continues(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        supervisor = supervisor_of(first)
        first.kill(SIGSTOP)
        os.kill(supervisor, SIGSTOP)
        with site.b.worker():
            site.await_attempt(2)
            os.kill(supervisor, SIGCONT)
            continued_s = time.monotonic()
            until(lambda: not alive(supervisor) or None, "the end of the supervisor")
            assert site.ticks(1)[-1] - continued_s < 0.5
        first.kill(SIGCONT)


@pytest.mark.proof
def test_an_outage_shorter_than_half_a_lease_changes_nothing(site: Site) -> None:
    with site.both() as (first, second):
        site.be_cut_off(LEASE_S * 0.3)
        time.sleep(LEASE_S * 1.5)
        assert site.ticks(2) == []
        assert time.monotonic() - site.ticks(1)[-1] < 1
        assert first.process.poll() is None
        assert second.process.poll() is None


@pytest.mark.proof
@pytest.mark.parametrize("fault", [cut_silently, cut_by_reset, stop_keeper_and_cut])
def test_a_cut_shorter_than_a_lease_freezes_the_jobs_and_they_go_on(
    site: Site, fault: object
) -> None:
    with site.both() as (first, _):
        history = site.direct("history", "1").out
        frozen_s = freeze(site, first, fault)
        time.sleep(1)
        assert site.ticks(1)[-1] < frozen_s
        site.a.link.open()
        first.says("the server answers again; 1 job goes on")
        first.kill(SIGCONT)
        time.sleep(LEASE_S)
        assert time.monotonic() - site.ticks(1)[-1] < 1
        assert (site.ticks(2), site.lost()) == ([], [])
        assert site.direct("history", "1").out == history


@pytest.mark.proof
def test_an_outage_for_all_longer_than_a_lease_ends_no_job(site: Site) -> None:
    with site.both() as (first, _):
        site.be_cut_off(LEASE_S * 1.5)
        first.says("1 job goes on")
        time.sleep(LEASE_S)
        assert time.monotonic() - site.ticks(1)[-1] < 1
        assert (site.ticks(2), site.lost()) == ([], [])


@pytest.mark.proof
def test_a_supervisor_that_is_killed_while_its_jobs_are_frozen(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        frozen_s = freeze(site, first, cut_by_reset)
        os.kill(supervisor_of(first), SIGKILL)
        first.says("its jobs were ended")
        site.a.link.open()
        site.await_attempt(2, within_s=LEASE_S / 2)  # by the locks of the same machine
        assert site.ticks(1)[-1] < frozen_s
        assert [how for how, _ in site.lost()] == ["locks"]


@pytest.mark.proof
def test_a_frozen_process_that_a_stranger_continues_is_frozen_again(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        freeze(site, first, cut_by_reset)
        ticks = len(site.ticks(1))

        def ran_on() -> bool | None:
            for pid in descendants(supervisor_of(first)):
                os.kill(pid, SIGCONT)
            time.sleep(0.1)
            return len(site.ticks(1)) > ticks or None  # unless the look came at that moment

        until(ran_on, "a tick of the continued process")
        time.sleep(2)
        ticks = len(site.ticks(1))
        time.sleep(2)
        assert len(site.ticks(1)) == ticks


@pytest.mark.proof
def test_a_frozen_worker_waits_after_one_stop_signal_and_exits_after_two(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        frozen_s = freeze(site, first, cut_silently)
        jobs = descendants(supervisor_of(first))
        first.kill(SIGTERM)
        first.says("finish when the server has answered")
        time.sleep(1)
        assert first.process.poll() is None
        first.kill(SIGTERM)
        assert first.ends().code == 6
        assert not any(map(alive, jobs))
        site.a.link.open()
        with site.a.worker():
            site.await_attempt(2, within_s=LEASE_S / 2)
        assert site.ticks(1)[-1] < frozen_s


@pytest.mark.proof
def test_a_keeper_that_is_killed_ends_frozen_jobs(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        frozen_s = freeze(site, first, cut_by_reset)
        jobs = descendants(supervisor_of(first))
        first.kill(SIGKILL)
        until(lambda: not any(map(alive, jobs)) or None, "the end of the jobs")
        assert site.ticks(1)[-1] < frozen_s


def test_a_killed_worker_on_the_same_machine_is_taken_over_at_once(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as first:
        site.await_attempt(1)
        with site.a.worker() as second:
            second.says("runs 1 job")
            supervisor = supervisor_of(first)
            first.kill(SIGSTOP)
            os.kill(supervisor, SIGKILL)
            first.kill(SIGKILL)
            site.await_attempt(2, within_s=LEASE_S / 2)
            assert [how for how, _ in site.lost()] == ["locks"]


def test_a_forgotten_worker_ends_its_jobs_at_its_next_beat(site: Site) -> None:
    site.enqueue()
    with site.a.worker() as worker:
        site.await_attempt(1)
        (listed,) = site.direct("worker", "list", "--json").json["workers"]
        assert listed["alive"]
        assert f"on {os.uname().nodename}, 1 of 1 slots busy" in site.direct("status").out
        refused = site.a.ctl_here("worker", "forget", listed["id"], code=4)
        assert "is alive on this machine" in refused.err
        answer = site.direct("worker", "forget", listed["id"])
        assert answer.out == f"worker {listed['id']} is forgotten; 1 job requeued\n"
        worker.says("were taken over")
        site.await_attempt(2, within_s=LEASE_S / 2)
        assert site.overlap_s() == 0
        assert [how for how, _ in site.lost()] == ["person"]


def test_results_wait_while_the_server_is_away(site: Site) -> None:
    job = site.direct.enqueue("sleep 1; echo done")
    with site.a.worker() as worker:
        site.direct.wait_for(job, "claimed")
        site.a.link.refuse()
        worker.says("no answer from the server")
        site.a.link.open()
        site.direct.wait_for(job, "succeeded", deadline_s=LEASE_S)
        worker.says("answers again")
        assert worker.err.count("no answer from the server") <= 1


@pytest.mark.proof
def test_a_log_that_went_back_ends_the_worker_and_its_jobs(site: Site, postgres: Server) -> None:
    import psycopg

    site.enqueue()
    with site.a.worker() as worker:
        site.await_attempt(1)
        site.a.link.refuse()
        time.sleep(1)  # so that a beat is missed
        with psycopg.connect(f"host={postgres.folder} user=postgres dbname=postgres") as connection:
            connection.execute(f'SET search_path = "{site.queue}"')
            connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
            connection.execute("DELETE FROM events WHERE type = 'claimed'")
        site.a.link.open()
        assert worker.ends().code == 5
        assert time.monotonic() - site.ticks(1)[-1] < LEASE_S / 2
        assert "no longer contains event" in worker.err[-1]


def test_a_person_cannot_start_a_worker_without_a_server(site: Site) -> None:
    site.a.link.refuse()
    assert "no answer from the server" in site.a.ctl("worker", "start", code=6).err
