"""A queue on a server through pgbouncer, which gives each transaction another session."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ctl import UNPOLLED_S, Ctl
from tests.faults.pooling import PGBOUNCER, pooling
from tests.postgres import Server

pytest.importorskip("psycopg", reason="psycopg is not installed")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")

HEARS_NONE = "this connection hears none (a pooler is in between): workers look every 0.5 s"


@pytest.fixture(scope="module")
def pooler(postgres: Server) -> Iterator[str]:
    with pooling(postgres.folder, "transaction") as folder:
        yield folder


@pytest.fixture
def direct(postgres: Server, request: pytest.FixtureRequest, ctl: Ctl) -> str:
    """The address of a new queue, without the pooler."""
    url = postgres.url(f"pooled{abs(hash(request.node.name))}")
    ctl("init", url)
    return url


@pytest.fixture
def pooled(direct: str, pooler: str, postgres: Server, ctl: Ctl) -> str:
    """The address of the same queue, through the pooler; all commands use it."""
    url = direct.replace(f"host={postgres.folder}", f"host={pooler}")
    ctl.env["QUEUECTL_DB"] = url
    return url


@pytest.mark.usefixtures("pooled")
def test_commands_work_through_a_pooler(ctl: Ctl, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('{"command": "true"}\n' * 50)
    ctl("enqueue", "--file", str(jobs))
    failing = ctl.enqueue("exit 3", max_retries=0)
    long = ctl.enqueue("seq 100000")
    with ctl.worker("--until-empty") as one, ctl.worker("--until-empty") as other:
        assert (one.ends().code, other.ends().code) == (0, 0)
    assert ctl("status", "--json").json["counts"]["completed"] == 51
    assert ctl("dlq", "list").jobs == [failing]
    assert ctl("logs", long).out == "".join(f"{number}\n" for number in range(1, 100_001))
    assert len(ctl("list", "--json", "--limit", "20").json["jobs"]) == 20
    ctl("config", "set", "max-retries", "5")
    ctl("replay")
    ctl("replay", "--check")
    ctl("verify")
    assert len(ctl("events").lines) == ctl("status", "--json").json["position"]


@pytest.mark.usefixtures("pooled")
def test_doctor_says_what_a_pooler_costs(ctl: Ctl, direct: str) -> None:
    def result(check: str, **env: str) -> str:
        checks = ctl("doctor", "--json", code=None, env=env).json["checks"]
        return next(str(each["found"]) for each in checks if each["check"] == check)

    assert result("pooler") == "in between"
    assert result("notifications") == HEARS_NONE
    assert result("notifications", QUEUECTL_DB_DIRECT=direct) == "heard at once"


@pytest.mark.usefixtures("pooled")
def test_worker_behind_a_pooler_hears_of_a_job_by_a_direct_connection(
    ctl: Ctl, direct: str
) -> None:
    with ctl.running("worker", "start", env={"QUEUECTL_DB_DIRECT": direct}):
        job = ctl.enqueue("true")
        ctl("wait", job)


@pytest.mark.proof
@pytest.mark.usefixtures("pooled")
def test_worker_behind_a_pooler_says_so_and_looks_for_jobs(ctl: Ctl) -> None:
    with ctl.worker() as worker:
        worker.says("hears nothing (a pooler?); looking every 0.5 s")
        started_s = time.monotonic()
        ctl("wait", ctl.enqueue("true"))
        assert time.monotonic() - started_s < UNPOLLED_S
