"""`worker list` and `worker stop` as typed."""

import os
import signal

from tests.ctl import Ctl, until
from tests.shapes import complete


def test_a_worker_prints_a_summary_when_it_exits(ctl: Ctl) -> None:
    assert ctl.drain().err.splitlines()[-1] == "Queue is empty: no job was run."
    ctl("enqueue", '[{"command": "exit 3", "max_retries": 0}, {"command": "a=1"}]')
    assert ctl.drain().err.splitlines()[-1] == "Queue is empty: 1 completed, 1 dead."


def test_output_of_quick_failures_kills_no_worker(ctl: Ctl) -> None:
    """An attempt has already left its slot when its output is read."""
    jobs = [ctl.enqueue("echo out; exit 3", max_retries=0) for _ in range(8)]
    assert "supervisor failed" not in ctl.drain().err
    for job in jobs:  # a claim ahead may have been released
        assert ctl.event_types(job)[-3:] == ["claimed", "failed", "dead"]
        assert ctl("logs", job).out == "out\n"


def test_workers_are_listed_with_their_jobs(ctl: Ctl) -> None:
    assert ctl("worker", "list").lines == []
    job = ctl.enqueue("sleep 60")
    with ctl.worker("--count", "2", "--name", "left"):
        ctl.wait_for(job, "claimed")
        (row,) = [line.split("\t") for line in ctl("worker", "list").lines]
        assert row[1:4] == ["left", "running", "2"]
        assert row[-1] == job
        (worker,) = ctl("worker", "list", "--json").json["workers"]
        assert (worker["jobs"], worker["queues"]) == ([job], [])
        ctl("cancel", job)
        ctl("wait", job, code=1)
    assert ctl("worker", "list").lines == []
    assert ctl("worker", "list", "--all").lines[0].split("\t")[1:3] == ["left", "stopped"]


def test_a_stopping_worker_finishes_its_job_first(ctl: Ctl) -> None:
    job = ctl.enqueue("until test -e go; do sleep 0.01; done")
    with ctl.worker() as worker:
        ctl.wait_for(job, "claimed")
        with ctl.running("worker", "stop") as stopping:
            worker.says("Finishing 1 job")
            (ctl.folder / "go").touch()
            assert "stopped" in stopping.ends().out
        assert worker.ends().code == 0
    assert ctl.show(job)["state"] == "completed"


def test_stopping_now_requeues_the_job(ctl: Ctl) -> None:
    job = ctl.enqueue("sleep 60")
    worker = ctl.start("worker", "start", "--name", "left")
    ctl.wait_for(job, "claimed")
    ctl("worker", "stop", "left", "--now")
    assert worker.ends().code == 0
    assert ctl.show(job)["state"] == "pending"


def test_stopping_an_ended_worker_is_reported(ctl: Ctl) -> None:
    ctl.drain()
    worker = ctl("worker", "list", "--all").jobs[0]
    assert "already stopped" in ctl("worker", "stop", worker).err
    assert "No worker is running" in ctl("worker", "stop").err


def test_a_worker_that_died_is_not_waited_for(ctl: Ctl) -> None:
    job = ctl.enqueue("sleep 60")
    with ctl.worker() as worker:
        until(lambda: complete("plain", ctl.folder), "the job's process")
        (row,) = ctl("worker", "list", "--json").json["workers"]
        worker.kill(signal.SIGSTOP)
        os.kill(row["pid"], signal.SIGKILL)
        worker.kill(signal.SIGKILL)
        worker.ends()
    assert "had died" in ctl("worker", "stop").err
    assert ctl.show(job)["state"] == "pending"
