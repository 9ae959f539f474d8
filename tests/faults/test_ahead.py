"""Short jobs, several per transaction: none is lost, run twice or stuck behind a long one."""

from tests.ctl import until
from tests.live_queue import LiveQueue, kill
from tests.shapes import in_folder


def test_many_short_jobs_each_run_once_although_the_supervisor_dies(live: LiveQueue) -> None:
    jobs = [live.enqueue("echo $QUEUECTL_JOB >> ran") for _ in range(300)]
    ran = live.work / "ran"
    with live.worker() as running:
        until(lambda: (ran.exists() and ran.read_text().count("\n") > 50) or None, "some have run")
        kill(live.supervisor(running))
        assert set(live.wait(*jobs)) == {"completed"}
    finished = [event for event in live.queue.events() if event.type == "succeeded"]
    assert sorted(event.stream for event in finished) == sorted(jobs)
    lost = sum(event.type == "failed" for event in live.queue.events())
    assert len(jobs) <= len(ran.read_text().split()) <= len(jobs) + lost


def test_prefetched_job_does_not_wait_behind_long_ones(live: LiveQueue) -> None:
    quick = [live.enqueue("true") for _ in range(40)]
    long = [live.enqueue("until [ -e go ]; do sleep 0.01; done") for _ in range(2)]
    last = live.enqueue("true")
    with live.worker(slots=2):
        live.wait(*quick)
        with live.worker(slots=1):
            assert live.wait(last) == ["completed"]
        (live.work / "go").touch()
        assert live.wait(*long) == ["completed", "completed"]


def test_prefetched_claims_are_released_at_the_first_signal(live: LiveQueue) -> None:
    jobs = [live.enqueue("true") for _ in range(500)]
    with live.worker() as running:
        live.wait_for(jobs[20], "succeeded")
        running.kill(2)
        assert running.ends().code == 0
    states = {live.queue.get(job).state for job in jobs}
    assert states <= {"completed", "pending"}
    assert in_folder(live.work) == []
