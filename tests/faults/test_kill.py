"""kill -9 of supervisor, keeper and both, with each shape of a job."""

import os
import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from queuectl.worker.liveness import lock_names
from tests.ctl import UNPOLLED_S, Running, until
from tests.live_queue import LiveQueue, freeze, kill, kill_both
from tests.sampling import first_of
from tests.shapes import SHAPES, complete, in_folder


def begun(live: LiveQueue, running: Running, shape: str) -> str:
    """Start a job of that shape that sleeps in its first attempt and succeeds in its second."""
    job = live.enqueue(f"if [ $QUEUECTL_ATTEMPT = 1 ]; then {SHAPES[shape]}; fi")
    until(lambda: complete(shape, live.work), f"the whole job: {running.err}")
    return job


def test_killed_supervisor_costs_no_retry(live: LiveQueue) -> None:
    with live.worker() as running:
        job = begun(live, running, "plain")
        kill(live.supervisor(running))
        killed = time.monotonic()
        live.wait_for(job, "requeued", why="worker-lost")
        assert time.monotonic() - killed < UNPOLLED_S
        assert live.wait(job) == ["completed"]
        assert [worker.state for worker in live.workers()] == ["lost", "running"]
    assert live.queue.get(job).retries_used == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_no_process_of_a_killed_supervisors_job_is_left(live: LiveQueue, shape: str) -> None:
    with live.worker() as running:
        job = begun(live, running, shape)
        kill(live.supervisor(running))
        live.wait_for(job, "requeued", why="worker-lost")
        assert complete(shape, live.work) is None
        assert live.wait(job) == ["completed"]
        assert in_folder(live.work) == []


@pytest.mark.parametrize("shape", first_of(SHAPES, 3))
def test_supervisor_ends_its_jobs_when_its_keeper_is_killed(live: LiveQueue, shape: str) -> None:
    with live.worker() as running:
        job = begun(live, running, shape)
        kill(running.pid)
        live.wait_for(job, "requeued", why="worker-lost")
        assert in_folder(live.work) == []
        running.says("error: the keeper")
    until(lambda: live.workers()[0].state == "stopped" or None, "the worker's end in the log")
    assert live.workers()[0].ended == "keeper-lost"
    live.drain()
    assert live.wait(job) == ["completed"]


@pytest.mark.parametrize("shape", first_of(SHAPES, 3))
def test_next_worker_ends_the_processes_of_a_killed_worker(live: LiveQueue, shape: str) -> None:
    with live.worker() as running:
        job = begun(live, running, shape)
        pids = complete(shape, live.work)
        kill_both(running.pid, live.supervisor(running))
        running.ends()
    assert set(in_folder(live.work)) >= set(pids or ())
    live.drain()
    assert in_folder(live.work) == []
    assert live.event_types(job) == [
        *("enqueued", "claimed", "failed", "requeued"),
        *("claimed", "succeeded"),
    ]


def test_running_worker_takes_over_from_a_killed_one(live: LiveQueue) -> None:
    with live.worker(slots=1) as running:
        job = begun(live, running, "bare daemon")
        with live.worker(slots=1) as other:
            other.says("SIGTERM or SIGINT")
            until(lambda: len(live.workers()) == 2 or None, "the second worker")
            kill_both(running.pid, live.supervisor(running))
            killed = time.monotonic()
            live.wait_for(job, "requeued", why="worker-lost")
            assert time.monotonic() - killed < UNPOLLED_S
            assert other.says("took over 1 job of worker ").endswith(", which had died")
            assert live.wait(job) == ["completed"]
    assert in_folder(live.work) == []


def test_lock_of_a_killed_worker_that_is_held_a_little_longer_delays_no_takeover(
    live: LiveQueue,
) -> None:
    """A process that it was just starting holds its locks until its program runs."""
    with live.worker(slots=1) as running:
        job = begun(live, running, "plain")
        with live.worker(slots=1) as other:
            assert live.wait(live.enqueue("true")) == ["completed"]  # its first check is over
            both = (other.pid, live.supervisor(other))
            freeze(*both)
            dead = live.workers()[0]
            kill_both(running.pid, live.supervisor(running))
            lock = live.queue.store.lock(lock_names(dead.id)[0])
            assert lock.acquire()
            for pid in both:
                os.kill(pid, SIGCONT)
            assert live.wait(live.enqueue("true")) == ["completed"]
            assert live.event_types(job) == ["enqueued", "claimed"]
            lock.release()
            released = time.monotonic()
            live.wait_for(job, "requeued", why="worker-lost")
            assert time.monotonic() - released < UNPOLLED_S
            assert live.wait(job) == ["completed"]


def test_job_that_kills_its_worker_three_times_is_dead(live: LiveQueue) -> None:
    with live.worker() as running:
        job = live.enqueue("kill -9 $PPID; sleep 60", max_retries=9)
        assert live.wait(job) == ["dead"]
        assert running.process.poll() is None
    assert live.event_types(job).count("claimed") == 3
    assert in_folder(live.work) == []


def test_cancelled_job_of_a_killed_worker_does_not_run_again(live: LiveQueue) -> None:
    with live.worker() as running:
        job = begun(live, running, "plain")
        supervisor = live.supervisor(running)
        kill_both(running.pid, supervisor)
        running.ends()
    live.queue.cancel(job)
    live.drain()
    assert live.event_types(job) == ["enqueued", "claimed", "cancel-requested", "cancelled"]


def test_worker_of_a_copied_queue_does_not_touch_the_originals_jobs(
    live: LiveQueue, tmp_path: Path
) -> None:
    with live.worker() as running:
        job = begun(live, running, "tree")
        pids = complete("tree", live.work)
        (tmp_path / "copy").mkdir()
        copy = LiveQueue.copied(live, tmp_path / "copy")
        copy.drain()
        assert copy.wait(job) == ["completed"]
        assert complete("tree", live.work) == pids
        assert live.queue.get(job).state == "processing"


def test_claim_is_not_taken_over_before_the_keeper_has_cleaned_up(live: LiveQueue) -> None:
    with live.worker(slots=1) as running:
        job = begun(live, running, "daemon")
        with live.worker(slots=1) as other:
            other.says("SIGTERM or SIGINT")  # and has made its first check once it has run a job:
            assert live.wait(live.enqueue("true")) == ["completed"]
            supervisor = live.supervisor(running)
            os.kill(running.pid, SIGSTOP)
            kill(supervisor)
            for _ in range(10):  # the other worker notices the death, and these
                assert live.wait(live.enqueue("true")) == ["completed"]
            assert live.event_types(job) == ["enqueued", "claimed"]
            os.kill(running.pid, SIGCONT)
            assert live.wait(job) == ["completed"]
    assert live.event_types(job)[2:4] == ["failed", "requeued"]
