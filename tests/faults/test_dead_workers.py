"""A worker that died without a trace in the log, before another takes over: who says what of it."""

import os
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest
from msgspec.structs import replace

from queuectl.worker.liveness import is_alive
from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl, until
from tests.live_queue import LiveQueue, kill, kill_both

START = "queuectl worker start"


@pytest.fixture
def dead(ctl: Ctl) -> str:
    """The id of the job that a dead worker had begun."""
    live = LiveQueue(ctl.folder)
    job = live.enqueue("touch began; exec sleep 60")
    with live.worker(slots=2) as running:
        until(lambda: (live.work / "began").exists() or None, "the job's process")
        kill_both(running.pid, live.supervisor(running))
        running.ends()
    live.queue.close()
    return job


def test_a_dead_worker_is_listed_as_dead(ctl: Ctl, dead: str) -> None:
    assert ctl("worker", "list").lines[0].split("\t")[2] == "dead"
    for words in (("worker", "list"), ("status",)):
        (worker,) = ctl(*words, "--json").json["workers"]
        assert (worker["state"], worker["alive"], worker["jobs"]) == ("running", False, [dead])
    shown = screen(ctl, "worker", "list", columns=200).lines
    name = ctl("worker", "list").lines[0].split("\t")[0]
    assert shown[-1].startswith(f"{name} is dead; the next worker requeues its jobs: {START}")


def test_status_does_not_count_a_dead_worker(ctl: Ctl, dead: str) -> None:
    lines = ctl("status").lines
    assert f"Workers: none (start one with: {START})" in lines
    assert any("dead with 1 job claimed (the next worker requeues them)" in line for line in lines)


def test_a_job_of_a_dead_worker_says_so(ctl: Ctl, dead: str) -> None:
    lines = screen(ctl, "show", dead, columns=200).lines
    assert lines[-1].endswith(f" is dead; the next worker requeues the job: {START}")


def test_a_cancel_does_not_reach_a_dead_worker(ctl: Ctl, dead: str) -> None:
    told = screen(ctl, "cancel", dead, columns=200).lines
    assert told[0] == f"job {dead} is cancelled once another worker runs; its own is dead: {START}"
    ctl.drain()
    assert ctl.show(dead)["state"] == "cancelled"


def test_an_enqueue_says_that_no_worker_is_running(ctl: Ctl, dead: str) -> None:
    assert (
        screen(ctl, "enqueue", "--", "true").lines[-1]
        == f"No worker is running. Start one: {START}"
    )


@pytest.mark.parametrize("words", [("wait",), ("logs", "-f")])
def test_wait_says_that_no_worker_is_running(ctl: Ctl, dead: str, words: tuple[str, ...]) -> None:
    with ctl.running(*words, dead) as waiting:
        waiting.says(f"No worker is running. Start one: {START}")
        ctl("cancel", dead)
        ctl.drain()
        waiting.ends()


def test_a_worker_is_alive_while_its_keeper_is(live: LiveQueue) -> None:
    job = live.enqueue("sleep 60")
    with live.worker() as running:
        live.wait_for(job, "claimed")
        (worker,) = live.workers()
        assert is_alive(live.queue.store, worker)
        os.kill(running.pid, SIGSTOP)
        kill(live.supervisor(running))
        assert is_alive(live.queue.store, worker)
        os.kill(running.pid, SIGCONT)


def test_a_copy_has_no_living_worker(live: LiveQueue, tmp_path: Path) -> None:
    """Its worker lives, and works on the original."""
    job = live.enqueue("sleep 60")
    with live.worker():
        live.wait_for(job, "claimed")
        (tmp_path / "copy").mkdir()
        copy = LiveQueue.copied(live, tmp_path / "copy")
        (worker,) = copy.workers()
        assert is_alive(live.queue.store, worker)
        assert not is_alive(copy.queue.store, worker)
        copy.queue.close()


def test_a_worker_that_is_seen_only_by_its_lock_is_alive(live: LiveQueue) -> None:
    """As one in another container: its processes have other numbers there."""
    live.enqueue("sleep 60")
    with live.worker() as running:
        live.wait_for("1", "claimed")
        (worker,) = live.workers()
        elsewhere = replace(worker, started=replace(worker.started, boot_id="another"))
        assert is_alive(live.queue.store, elsewhere)
        kill_both(running.pid, live.supervisor(running))
        until(lambda: not is_alive(live.queue.store, elsewhere) or None, "free locks")


def test_a_keeper_that_gives_up_says_what_becomes_of_its_jobs(ctl: Ctl) -> None:
    live = LiveQueue(ctl.folder)
    job = live.enqueue("kill -9 $PPID; sleep 60")
    other = live.enqueue("kill -9 $PPID; sleep 60")
    with live.worker(slots=1) as running:
        said = running.says("giving up")
        assert running.ends().code == 1
    assert said.endswith(f"the next worker requeues them: queuectl --db {ctl.db} worker start")
    assert [line.split("\t")[2] for line in ctl("worker", "list").lines] == ["dead"]
    assert live.queue.get(job).state == "dead"
    ctl("cancel", other)
    ctl.drain()
    assert live.queue.get(other).state == "cancelled"
    live.queue.close()


def test_a_stop_of_a_dead_worker_says_what_its_jobs_became(ctl: Ctl, dead: str) -> None:
    ctl("cancel", dead)
    assert ctl("worker", "stop").err.endswith(" had died; 1 job cancelled\n")
    (attempt,) = ctl.show(dead)["attempts"]
    assert (attempt["outcome"], attempt["duration_s"]) == ("cancelled", None)


def test_a_lost_attempt_has_no_duration(ctl: Ctl, dead: str) -> None:
    """Nobody measured it."""
    assert ctl("worker", "stop").err.endswith(" had died; 1 job requeued\n")
    (attempt,) = ctl.show(dead)["attempts"]
    assert (attempt["reason"], attempt["duration_s"]) == ("worker-lost", None)
    assert attempt["output_bytes"] is None
    shown = screen(ctl, "show", dead, columns=200).lines
    (line,) = [line for line in shown if line.startswith("1 ")]
    assert "0s" not in line.replace("0s ago", "")


def test_doctor_says_whose_processes_are_left(ctl: Ctl, dead: str) -> None:
    (line,) = [line for line in ctl("doctor", code=1).lines if "\tprocesses\t" in line]
    assert "1 process of attempts whose worker is dead: " in line


def test_a_dead_worker_can_be_forgotten(ctl: Ctl, dead: str) -> None:
    (worker,) = ctl("worker", "list").jobs
    answer = ctl("worker", "forget", worker)
    assert answer.out == f"worker {worker} is forgotten; 1 job requeued\n"
    assert ctl.show(dead)["state"] == "pending"
    assert f"worker {worker} is already lost" in ctl("worker", "forget", worker).err


def test_a_living_worker_is_not_forgotten(ctl: Ctl) -> None:
    with ctl.worker() as running:
        running.says("runs 1 job")
        (worker,) = ctl("worker", "list").jobs
        assert "is alive on this machine" in ctl("worker", "forget", worker, code=4).err


def test_a_missing_worker_is_not_forgotten(ctl: Ctl) -> None:
    ctl.enqueue("true")
    ctl("worker", "forget", "nobody", code=3)
