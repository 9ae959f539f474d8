"""Several workers on one queue, and a retry whose worker died before it was due."""

from queuectl.core.requests import NewJob
from tests.ctl import UNPOLLED_S, until
from tests.live_queue import LiveQueue, kill_both


def test_two_workers_run_each_job_once(live: LiveQueue) -> None:
    new = NewJob(command="echo $QUEUECTL_JOB >> ran; sleep 0.01", cwd=str(live.work))
    with live.worker(), live.worker():
        until(lambda: len(live.workers()) == 2 or None, "both workers")
        jobs = live.queue.enqueue_many([new] * 300)
        assert set(live.wait(*jobs)) == {"completed"}
    assert sorted((live.work / "ran").read_text().split()) == sorted(jobs)
    claims = [recorded.event for recorded in live.queue.events() if recorded.type == "claimed"]
    assert len({getattr(claim, "worker", None) for claim in claims}) == 2


def test_retry_comes_on_time_although_its_worker_died(live: LiveQueue) -> None:
    job = live.enqueue("[ $QUEUECTL_ATTEMPT = 2 ]", backoff_base=1.0)
    with live.worker() as running:
        due_at_us = live.wait_for(job, "scheduled-retry").due_at_us
        kill_both(running.pid, live.supervisor(running))
        running.ends()
    live.drain()
    assert live.wait(job) == ["completed"]
    again = [event for event in live.events(job) if event.type == "claimed"][1]
    assert 0 <= again.recorded_at_us - due_at_us < UNPOLLED_S * 1e6


def test_idle_worker_starts_a_job_that_another_requeued(live: LiveQueue) -> None:
    job = live.enqueue("[ $QUEUECTL_ATTEMPT = 2 ] || { touch up; sleep 60; }")
    with live.worker(slots=1) as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        with live.worker(slots=1):
            until(lambda: len(live.workers()) == 2 or None, "the second worker")
            for words in ("Finishing", "Stopping"):
                running.kill(2)
                running.says(words)
            assert live.wait(job) == ["completed"]
        assert running.ends().code == 130
    assert live.event_types(job)[2:4] == ["failed", "requeued"]
