"""Short jobs, several per transaction: none is lost, run twice or stuck behind a long one."""

from tests.ctl import until
from tests.house import House, kill
from tests.shapes import in_folder


def test_many_short_jobs_each_run_once_although_the_supervisor_dies(house: House) -> None:
    jobs = [house.enqueue("echo $QUEUECTL_JOB >> ran") for _ in range(300)]
    ran = house.work / "ran"
    with house.worker() as running:
        until(lambda: (ran.exists() and ran.read_text().count("\n") > 50) or None, "some have run")
        kill(house.supervisor(running))
        assert set(house.wait(*jobs)) == {"completed"}
    finished = [event for event in house.queue.events() if event.type == "succeeded"]
    assert sorted(event.stream for event in finished) == sorted(jobs)
    lost = sum(event.type == "failed" for event in house.queue.events())
    assert len(jobs) <= len(ran.read_text().split()) <= len(jobs) + lost


def test_prefetched_job_does_not_wait_behind_long_ones(house: House) -> None:
    quick = [house.enqueue("true") for _ in range(40)]
    long = [house.enqueue("until [ -e go ]; do sleep 0.01; done") for _ in range(2)]
    last = house.enqueue("true")
    with house.worker(slots=2):
        house.wait(*quick)
        with house.worker(slots=1):
            assert house.wait(last) == ["completed"]
        (house.work / "go").touch()
        assert house.wait(*long) == ["completed", "completed"]


def test_prefetched_claims_are_released_at_the_first_signal(house: House) -> None:
    jobs = [house.enqueue("true") for _ in range(500)]
    with house.worker() as running:
        house.wait_for(jobs[20], "succeeded")
        running.kill(2)
        assert running.ends().code == 0
    states = {house.queue.get(job).state for job in jobs}
    assert states <= {"completed", "pending"}
    assert in_folder(house.work) == []
