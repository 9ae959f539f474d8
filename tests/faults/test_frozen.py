"""A keeper or a supervisor that is stopped by a signal, by a job or by Ctrl-Z."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGSTOP

import pytest

from queuectl.worker import stop_wait
from queuectl.worker.liveness import living_processes
from queuectl.worker.process_sweep import alive, stopped
from queuectl.worker.stop_wait import HoldUp
from queuectl.worker.takeover import take_over
from tests.ctl import Ctl, until
from tests.live_queue import LiveQueue, freeze

KEEPER = "$(cut -d ' ' -f 4 /proc/$PPID/stat)"
"""Shell text for the pid of the keeper; its supervisor is $PPID."""


@pytest.mark.parametrize("number", ["STOP", "TSTP", "TTIN", "TTOU"])
def test_job_that_stops_its_supervisor_does_not_delay_the_worker(
    live: LiveQueue, number: str
) -> None:
    stops = live.enqueue(f"kill -{number} $PPID; touch sent")
    with live.worker(slots=1) as running:
        until(lambda: (live.work / "sent").exists() or None, "the signal")
        assert live.wait(stops, live.enqueue("true")) == ["completed"] * 2
        running.kill()
        assert running.ends().code == 0


@pytest.mark.parametrize("number", ["STOP", "TTIN"])
def test_keeper_stopped_by_a_job_ends_with_its_supervisor(
    ctl: Ctl, live: LiveQueue, number: str
) -> None:
    job = live.enqueue(f"kill -{number} {KEEPER}; touch sent")
    with live.worker() as running:
        assert live.wait(job) == ["completed"]
        ctl("worker", "stop")
        assert running.ends().code == 0


def test_another_worker_continues_a_stopped_keeper(live: LiveQueue) -> None:
    with live.worker() as running:
        running.says("SIGTERM or SIGINT")
        assert live.wait(live.enqueue("true")) == ["completed"]  # its first check is over
        freeze(running.pid)
        with live.worker():
            until(lambda: not stopped(running.pid) or None, "the keeper to be continued")


def test_stop_now_continues_a_stopped_worker_and_reports_it(ctl: Ctl, live: LiveQueue) -> None:
    job = live.enqueue("touch up; sleep 60", grace="1s")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        freeze(running.pid, live.supervisor(running))
        assert "was stopped by a signal; continued it" in ctl("worker", "stop", "--now").err
        running.ends()
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]
    assert live.wait_for(job, "failed").reason == "worker-stopped"


def test_worker_that_never_answers_is_killed_after_its_grace(
    live: LiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_wait, "END_WITHIN_S", 0.1)
    job = live.enqueue("touch up; sleep 60", grace="100ms")
    with live.worker():
        until(lambda: (live.work / "up").exists() or None, "the job")
        (worker,) = live.workers()
        pids = living_processes(worker)
        with kept_frozen(*pids):
            hold_up = HoldUp(live.queue, worker, force=True)
            message = until(lambda: _message(hold_up, "killed it"), "the end of patience")
        assert str(pids[0]) in message
        until(lambda: not any(map(alive, pids)) or None, "the worker's end")
        assert take_over(live.queue, worker, "test") == [job]
    assert live.queue.get(job).state == "pending"


def test_draining_worker_that_takes_long_is_not_killed(
    live: LiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_wait, "END_WITHIN_S", 0.1)
    job = live.enqueue("touch up; sleep 60")
    with live.worker():
        until(lambda: (live.work / "up").exists() or None, "the job")
        (worker,) = live.workers()
        hold_up = HoldUp(live.queue, worker, force=False)
        assert (
            until(hold_up.look, "words") == f"waiting for worker {worker.id}, which finishes {job}"
        )
        assert hold_up.look() is None
        assert len(living_processes(worker)) == 2


def test_doctor_names_stopped_processes(ctl: Ctl, live: LiveQueue) -> None:
    with live.worker() as running:
        running.says("SIGTERM or SIGINT")
        pids = [running.pid, live.supervisor(running)]
        freeze(*pids)
        output = ctl("doctor", code=1).out
        assert "is stopped by a signal" in output
        assert f"kill -CONT {pids[0]} {pids[1]}" in output


def test_stop_ends_a_worker_whose_job_stopped_its_keeper_and_killed_its_supervisor(
    ctl: Ctl, live: LiveQueue
) -> None:
    with live.worker() as running:
        supervisor = live.supervisor(running)
        job = live.enqueue(f"K={KEEPER}; kill -STOP $K; kill -9 $PPID")
        until(lambda: not alive(supervisor) or None, "the supervisor's death")
        output = ctl("doctor", code=1).out
        assert f"is stopped by a signal (process {running.pid})" in output
        assert f"kill -CONT {running.pid}" in output
        assert "was stopped by a signal; continued it" in ctl("worker", "stop").err
        assert not any(worker.active for worker in live.workers())
        assert running.ends().code == 0
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]
    assert live.queue.get(job).retries_used == 0


def _message(hold_up: HoldUp, words: str) -> str | None:
    message = hold_up.look()
    return message if message and words in message else None


@contextmanager
def kept_frozen(*pids: int) -> Iterator[None]:
    """Stop these processes again and again while the block runs."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.0005):
            for pid in pids:
                try:
                    os.kill(pid, SIGSTOP)
                except ProcessLookupError:
                    return

    freeze(*pids)
    freezer = threading.Thread(target=keep)
    freezer.start()
    try:
        yield
    finally:
        over.set()
        freezer.join()
