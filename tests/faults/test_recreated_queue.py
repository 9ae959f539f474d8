"""A queue on a server is removed and created again while a worker serves it."""

import os
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGSTOP

import pytest

from tests.ctl import Ctl, until
from tests.postgres import Server

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")


def supervisors(keeper: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()]


def started(ctl: Ctl) -> int | None:
    """Return the number of starts of workers that are recorded."""
    return ctl("events", "--json").out.count('"worker-started"') or None


def test_new_supervisor_does_not_serve_another_queue(
    ctl: Ctl, postgres: Server, tmp_path: Path
) -> None:
    ctl.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    ctl.env["QUEUECTL_DB"] = url = postgres.url("recreated")
    ctl("init", url)
    with ctl.executed("worker", "start") as worker:
        until(lambda: started(ctl), "the worker has started")
        os.kill(supervisors(worker.pid)[0], SIGKILL)
        until(lambda: started(ctl) == 2 or None, "it has started again, on the same queue")
        supervisor = supervisors(worker.pid)[0]
        os.kill(supervisor, SIGSTOP)  # so that it does not notice the loss itself
        with psycopg.connect(postgres.database("postgres"), autocommit=True) as connection:
            connection.execute("DROP SCHEMA recreated CASCADE")
        ctl("init", url)
        with suppress(ProcessLookupError):  # on a slow machine its keeper has continued it
            os.kill(supervisor, SIGKILL)
        ended = worker.ends()
    assert ended.code == 6
    assert "was deleted or replaced while in use" in ended.err
    assert started(ctl) is None
