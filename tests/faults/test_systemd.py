"""A worker as a service of a real systemd: how its jobs end, and that it is not ended in vain."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGSTOP

import pytest

from eventstore.location import create_on_server
from projections.registry import first_schema
from tests.ctl import Ctl, until
from tests.faults.link import Link
from tests.postgres import Server
from tests.systemd import Systemd, missing_for_systemd, systemd

pytest.importorskip("psycopg", reason="psycopg is not installed")

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        missing_for_systemd() is not None, reason=f"not on this machine: {missing_for_systemd()}"
    ),
]
LEASE_S = 10

TICKING = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    with open(sys.argv[1], "a", buffering=1) as file:
        while True:
            file.write(f"{os.environ['QUEUECTL_ATTEMPT']} {time.monotonic()}\\n")
            time.sleep(0.01)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Systemd]:
    with systemd(tmp_path) as manager:
        yield manager


class Jobs:
    """A job that ticks, from a process that has left its session."""

    def __init__(self, ctl: Ctl, folder: Path) -> None:
        self._ctl, self._ticks, self._program = ctl, folder / "ticks", folder / "ticking.py"
        self._ticks.touch()
        self._program.write_text(TICKING)

    def enqueue(self, seconds: float) -> str:
        command = f"{sys.executable} {self._program} {self._ticks} {seconds}"
        return self._ctl.enqueue(command)

    def ticks(self, attempt: int) -> list[float]:
        lines = [line.split() for line in self._ticks.read_text().splitlines()]
        return [float(line[1]) for line in lines if len(line) == 2 and line[0] == str(attempt)]

    def await_attempt(self, attempt: int) -> None:
        until(lambda: self.ticks(attempt) or None, f"attempt {attempt}")


class Service:
    """A service on a server whose link can be cut."""

    def __init__(self, manager: Systemd, server: Server, folder: Path) -> None:
        self.manager, self.link = manager, Link(folder / "link", server.folder)
        queue = f"systemd-{os.urandom(4).hex()}"
        create_on_server(server.url(queue), first_schema)
        self.ctl = Ctl(folder)
        self.ctl.env["QUEUECTL_DB"] = server.url(queue)
        self.ctl("config", "set", "lease", f"{LEASE_S}s")
        self.jobs = Jobs(self.ctl, folder)
        address = f"postgresql://postgres@/postgres?host={self.link.folder}&queue={queue}"
        manager.queuectl("--db", address, "service", "install")
        manager.run("systemctl", "--user", "enable", "--now", "queuectl")

    def state(self, name: str) -> str:
        return self.manager.properties("queuectl")[name]

    def stop_both(self) -> float:
        """Stop keeper and supervisor by a signal; return when."""
        keeper = int(self.state("MainPID"))
        (supervisor,) = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
        for pid in (keeper, int(supervisor)):
            os.kill(pid, SIGSTOP)
        return time.monotonic()


@pytest.fixture
def service(manager: Systemd, postgres: Server, tmp_path: Path) -> Iterator[Service]:
    service = Service(manager, postgres, tmp_path)
    yield service
    service.link.close()


def test_a_service_lets_its_job_finish_when_it_is_stopped(manager: Systemd, ctl: Ctl) -> None:
    jobs = Jobs(ctl, ctl.folder)
    job = jobs.enqueue(2)
    manager.queuectl("--db", str(ctl.db), "service", "install", "--count", "2")
    manager.run("systemctl", "--user", "enable", "--now", "queuectl")
    jobs.await_attempt(1)
    shown = manager.queuectl("service", "status")
    assert "state: active (running), enabled" in shown
    assert "status: 1 of 2 jobs running" in shown
    manager.run("systemctl", "--user", "disable", "--now", "queuectl")
    assert ctl.show(job)["state"] == "completed"
    assert manager.properties("queuectl")["Result"] == "success"
    manager.queuectl("service", "uninstall")
    assert manager.properties("queuectl")["LoadState"] == "not-found"


def test_jobs_end_in_time_when_keeper_and_supervisor_are_stopped(service: Service) -> None:
    service.jobs.enqueue(1000)
    service.jobs.await_attempt(1)
    stopped_s = service.stop_both()
    service.jobs.await_attempt(2)
    assert service.jobs.ticks(1)[-1] - stopped_s < LEASE_S / 2 + LEASE_S / 12
    assert service.jobs.ticks(1)[-1] < service.jobs.ticks(2)[0]
    assert service.state("NRestarts") == "1"


def test_jobs_end_in_time_when_both_are_stopped_while_the_service_stops(service: Service) -> None:
    service.jobs.enqueue(1000)
    service.jobs.await_attempt(1)
    service.manager.run("systemctl", "--user", "stop", "--no-block", "queuectl")
    until(lambda: service.state("SubState") == "stop-sigterm" or None, "the stop")
    time.sleep(LEASE_S / 12 * 2)  # at least one beat
    stopped_s = service.stop_both()
    until(lambda: service.state("ActiveState") == "failed" or None, "the end")
    assert service.jobs.ticks(1)[-1] - stopped_s < LEASE_S / 2 + LEASE_S / 12


def test_a_service_outlasts_a_server_that_is_away_for_longer_than_its_lease(
    service: Service,
) -> None:
    service.jobs.enqueue(1000)
    service.jobs.await_attempt(1)
    keeper = service.state("MainPID")
    service.link.refuse()
    time.sleep(LEASE_S * 1.5)
    assert (service.state("MainPID"), service.state("NRestarts")) == (keeper, "0")
    assert time.monotonic() - service.jobs.ticks(1)[-1] > LEASE_S / 2
    ticks = len(service.jobs.ticks(1))  # its job is frozen
    service.link.open()
    until(lambda: len(service.jobs.ticks(1)) > ticks or None, "the next tick")
    assert (service.state("MainPID"), service.state("NRestarts")) == (keeper, "0")
    stopped_s = service.stop_both()  # and the watchdog is still on
    service.jobs.await_attempt(2)
    assert service.jobs.ticks(1)[-1] - stopped_s < LEASE_S / 2 + LEASE_S / 12
