"""Jobs that run on another machine: their output is followed, read and verified here."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.ctl import Ctl, until
from tests.faults.pooling import PGBOUNCER, pooling
from tests.live_queue import kill_both
from tests.postgres import Server
from tests.stores import open_on_server

pytest.importorskip("psycopg", reason="psycopg is not installed")

Machine = Callable[[str], Ctl]


@pytest.fixture
def url(postgres: Server, request: pytest.FixtureRequest) -> str:
    """The address of a new queue."""
    url = postgres.url(request.node.name[:40])
    open_on_server(url, create=True).close()
    return url


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    """Return a function that returns `queuectl` on a machine with this name."""

    def on(name: str) -> Ctl:
        folder = tmp_path / name
        folder.mkdir()
        ctl = Ctl(folder)
        ctl.env |= {"QUEUECTL_DB": url, "XDG_STATE_HOME": str(folder / "state")}
        return ctl

    return on


def supervisor_of(keeper: int) -> int:
    def children() -> list[str]:
        return Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()

    return int(until(children, "the supervisor")[0])


def test_output_is_followed_on_another_machine_while_it_is_printed(machine: Machine) -> None:
    here, elsewhere = machine("here"), machine("elsewhere")
    job = here.enqueue("echo first; until [ -e go ]; do sleep 0.1; done; seq 20000")
    with here.worker(), elsewhere.running("logs", "-f", job) as followed:
        followed.says("first")
        (here.folder / "go").touch()
        assert followed.ends().lines[-1] == "20000"
    assert elsewhere("logs", job).out == here("logs", job).out
    assert elsewhere("verify", "--outputs").out.startswith("ok: ")


@pytest.mark.proof
def test_logs_say_that_the_rest_is_on_the_machine_of_a_lost_worker(machine: Machine) -> None:
    here, elsewhere = machine("here"), machine("elsewhere")
    job = here.enqueue('[ "$QUEUECTL_ATTEMPT" = 2 ] || { echo first; sleep 60; }')
    with here.worker() as worker:
        with elsewhere.running("logs", "-f", job) as followed:
            followed.says("first")
        kill_both(worker.pid, supervisor_of(worker.pid))
    here.drain()
    result = elsewhere("logs", job, "--attempt", "1")
    assert result.out == "first\n"
    host = os.uname().nodename
    assert f"[the worker was lost; later output may be on {host}]" in result.err


@pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
def test_output_is_sent_through_a_pooler(postgres: Server, url: str, tmp_path: Path) -> None:
    with pooling(postgres.folder, "transaction") as folder:
        pooled = url.replace(f"host={postgres.folder}", f"host={folder}")
        with closing(open_on_server(pooled, folder=str(tmp_path / "here.d"))) as store:
            store.output_files("1", 1, 10_000_000).write(0, b"text\n" * 200_000)
        with closing(open_on_server(pooled, folder=str(tmp_path / "elsewhere.d"))) as store:
            assert b"".join(piece.data for piece in store.pieces("1", 1)) == b"text\n" * 200_000
