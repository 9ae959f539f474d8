"""Several workers on one queue, and a retry whose worker died before it was due."""

from queuectl.core.requests import NewJob
from tests.ctl import UNPOLLED_S, until
from tests.house import House, kill_both


def test_two_workers_run_each_job_once(house: House) -> None:
    new = NewJob(command="echo $QUEUECTL_JOB >> ran; sleep 0.01", cwd=str(house.work))
    with house.worker(), house.worker():
        until(lambda: len(house.workers()) == 2 or None, "both workers")
        jobs = house.queue.enqueue_many([new] * 300)
        assert set(house.wait(*jobs)) == {"completed"}
    assert sorted((house.work / "ran").read_text().split()) == sorted(jobs)
    claims = [recorded.event for recorded in house.queue.events() if recorded.type == "claimed"]
    assert len({getattr(claim, "worker", None) for claim in claims}) == 2


def test_retry_comes_on_time_although_its_worker_died(house: House) -> None:
    job = house.enqueue("[ $QUEUECTL_ATTEMPT = 2 ]", backoff_base=1.0)
    with house.worker() as running:
        due_at_us = house.wait_for(job, "scheduled-retry").due_at_us
        kill_both(running.pid, house.supervisor(running))
        running.ends()
    house.drain()
    assert house.wait(job) == ["completed"]
    again = [event for event in house.events(job) if event.type == "claimed"][1]
    assert 0 <= again.recorded_at_us - due_at_us < UNPOLLED_S * 1e6


def test_idle_worker_starts_a_job_that_another_requeued(house: House) -> None:
    job = house.enqueue("[ $QUEUECTL_ATTEMPT = 2 ] || { touch up; sleep 60; }")
    with house.worker(slots=1) as running:
        until(lambda: (house.work / "up").exists() or None, "the job")
        with house.worker(slots=1):
            until(lambda: len(house.workers()) == 2 or None, "the second worker")
            for words in ("Finishing", "Stopping"):
                running.kill(2)
                running.says(words)
            assert house.wait(job) == ["completed"]
        assert running.ends().code == 130
    assert house.event_types(job)[2:4] == ["failed", "requeued"]
