"""kill -9 of supervisor, keeper and both, with each shape of a job."""

import os
import time
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from queuectl.worker.liveness import lock_names
from tests.ctl import UNPOLLED_S, Running, until
from tests.house import House, freeze, kill, kill_both
from tests.shapes import SHAPES, complete, in_folder


def begun(house: House, running: Running, shape: str) -> str:
    """Start a job of that shape that sleeps in its first attempt and succeeds in its second."""
    job = house.enqueue(f"if [ $QUEUECTL_ATTEMPT = 1 ]; then {SHAPES[shape]}; fi")
    until(lambda: complete(shape, house.work), f"the whole job: {running.err}")
    return job


def test_killed_supervisor_costs_no_retry(house: House) -> None:
    with house.worker() as running:
        job = begun(house, running, "plain")
        kill(house.supervisor(running))
        killed = time.monotonic()
        house.wait_for(job, "requeued", why="worker-lost")
        assert time.monotonic() - killed < UNPOLLED_S
        assert house.wait(job) == ["completed"]
        assert [worker.state for worker in house.workers()] == ["lost", "running"]
    assert house.queue.get(job).retries_used == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_no_process_of_a_killed_supervisors_job_is_left(house: House, shape: str) -> None:
    with house.worker() as running:
        job = begun(house, running, shape)
        kill(house.supervisor(running))
        house.wait_for(job, "requeued", why="worker-lost")
        assert complete(shape, house.work) is None
        assert house.wait(job) == ["completed"]
        assert in_folder(house.work) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_supervisor_ends_its_jobs_when_its_keeper_is_killed(house: House, shape: str) -> None:
    with house.worker() as running:
        job = begun(house, running, shape)
        kill(running.pid)
        house.wait_for(job, "requeued", why="worker-lost")
        assert in_folder(house.work) == []
        running.says("error: the keeper")
    until(lambda: house.workers()[0].state == "stopped" or None, "the worker's end in the log")
    assert house.workers()[0].ended == "keeper-lost"
    house.drain()
    assert house.wait(job) == ["completed"]


@pytest.mark.parametrize("shape", SHAPES)
def test_next_worker_ends_the_processes_of_a_killed_worker(house: House, shape: str) -> None:
    with house.worker() as running:
        job = begun(house, running, shape)
        pids = complete(shape, house.work)
        kill_both(running.pid, house.supervisor(running))
        running.ends()
    assert set(in_folder(house.work)) >= set(pids or ())
    house.drain()
    assert in_folder(house.work) == []
    assert house.event_types(job) == [
        *("enqueued", "claimed", "failed", "requeued"),
        *("claimed", "succeeded"),
    ]


def test_running_worker_takes_over_from_a_killed_one(house: House) -> None:
    with house.worker(slots=1) as running:
        job = begun(house, running, "bare daemon")
        with house.worker(slots=1) as other:
            other.says("SIGTERM or SIGINT")
            until(lambda: len(house.workers()) == 2 or None, "the second worker")
            kill_both(running.pid, house.supervisor(running))
            killed = time.monotonic()
            house.wait_for(job, "requeued", why="worker-lost")
            assert time.monotonic() - killed < UNPOLLED_S
            assert other.says("took over 1 job of worker ").endswith(", which had died")
            assert house.wait(job) == ["completed"]
    assert in_folder(house.work) == []


def test_lock_of_a_killed_worker_that_is_held_a_little_longer_delays_no_takeover(
    house: House,
) -> None:
    """A process that it was just starting holds its locks until its program runs."""
    with house.worker(slots=1) as running:
        job = begun(house, running, "plain")
        with house.worker(slots=1) as other:
            assert house.wait(house.enqueue("true")) == ["completed"]  # its first check is over
            both = (other.pid, house.supervisor(other))
            freeze(*both)
            dead = house.workers()[0]
            kill_both(running.pid, house.supervisor(running))
            lock = house.queue.store.lock(lock_names(dead.id)[0])
            assert lock.acquire()
            for pid in both:
                os.kill(pid, SIGCONT)
            assert house.wait(house.enqueue("true")) == ["completed"]
            assert house.event_types(job) == ["enqueued", "claimed"]
            lock.release()
            released = time.monotonic()
            house.wait_for(job, "requeued", why="worker-lost")
            assert time.monotonic() - released < UNPOLLED_S
            assert house.wait(job) == ["completed"]


def test_job_that_kills_its_worker_three_times_is_dead(house: House) -> None:
    with house.worker() as running:
        job = house.enqueue("kill -9 $PPID; sleep 60", max_retries=9)
        assert house.wait(job) == ["dead"]
        assert running.process.poll() is None
    assert house.event_types(job).count("claimed") == 3
    assert in_folder(house.work) == []


def test_cancelled_job_of_a_killed_worker_does_not_run_again(house: House) -> None:
    with house.worker() as running:
        job = begun(house, running, "plain")
        supervisor = house.supervisor(running)
        kill_both(running.pid, supervisor)
        running.ends()
    house.queue.cancel(job)
    house.drain()
    assert house.event_types(job) == ["enqueued", "claimed", "cancel-requested", "cancelled"]


def test_worker_of_a_copied_queue_does_not_touch_the_originals_jobs(
    house: House, tmp_path: Path
) -> None:
    with house.worker() as running:
        job = begun(house, running, "tree")
        pids = complete("tree", house.work)
        (tmp_path / "copy").mkdir()
        copy = House.copied(house, tmp_path / "copy")
        copy.drain()
        assert copy.wait(job) == ["completed"]
        assert complete("tree", house.work) == pids
        assert house.queue.get(job).state == "processing"


def test_claim_is_not_taken_over_before_the_keeper_has_cleaned_up(house: House) -> None:
    with house.worker(slots=1) as running:
        job = begun(house, running, "daemon")
        with house.worker(slots=1) as other:
            other.says("SIGTERM or SIGINT")  # and has made its first check once it has run a job:
            assert house.wait(house.enqueue("true")) == ["completed"]
            supervisor = house.supervisor(running)
            os.kill(running.pid, SIGSTOP)
            kill(supervisor)
            for _ in range(10):  # the other worker notices the death, and these
                assert house.wait(house.enqueue("true")) == ["completed"]
            assert house.event_types(job) == ["enqueued", "claimed"]
            os.kill(running.pid, SIGCONT)
            assert house.wait(job) == ["completed"]
    assert house.event_types(job)[2:4] == ["failed", "requeued"]
