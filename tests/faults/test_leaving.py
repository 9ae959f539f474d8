"""A worker that stops records it in the log, and a stopped worker is not lost."""

import subprocess
from signal import SIGTERM

from queuectl.core.requests import Claim, Release
from queuectl.worker.prefetch import PAUSE_US
from tests.behaviour.test_terminal import screen
from tests.ctl import PROGRAM, Ctl, until
from tests.house import House


def test_draining_worker_is_shown_as_stopping(house: House) -> None:
    with house.worker() as running:
        job = house.enqueue("sleep 60")
        house.wait_for(job, "claimed")
        running.kill(SIGTERM)
        until(lambda: house.workers()[0].state == "stopping" or None, "the stop in the log")
        assert house.queue.get(job).state == "processing"
        house.queue.cancel(job)
        assert running.ends().code == 0
    assert house.workers()[0].state == "stopped"


def test_stopped_worker_is_not_reported_as_dead(house: House) -> None:
    for _ in range(5):
        with house.worker() as running:
            job = house.enqueue("sleep 60")
            house.wait_for(job, "claimed")
            stop = (*PROGRAM, "--db", str(house.path), "worker", "stop", "--now")
            answer = subprocess.run(stop, capture_output=True, text=True, check=True)
            running.ends()
            assert "died" not in answer.stderr + answer.stdout
            house.queue.cancel(job)
    assert {worker.state for worker in house.workers()} == {"stopped"}


def test_claims_of_short_jobs_behind_long_ones_are_released_at_most_once(house: House) -> None:
    """Prefetched claims that find no slot are released, and not claimed again for a while."""
    short = [house.enqueue("true") for _ in range(8)]
    long = [house.enqueue("sleep 0.3") for _ in range(2)]
    behind = [house.enqueue("true") for _ in range(4)]
    house.drain(slots=2)
    assert house.wait(*short, *long, *behind) == ["completed"] * 14
    longest_us = max(house.wait_for(job, "succeeded").duration_us for job in (*short, *long))
    released = [house.event_types(job).count("released") for job in behind]
    assert max(released) <= 1 + longest_us // PAUSE_US
    assert all(house.queue.get(job).attempts == 1 for job in behind)


def test_released_claim_does_not_change_the_attempt_number(house: House) -> None:
    job = house.enqueue("echo $QUEUECTL_ATTEMPT >> numbers")
    with house.queue.write("5f") as session:
        session.send(Claim(job_id=job, worker="5f", slot=1, at_us=session.at_us))
        session.send(Release(job_id=job, attempt=1, worker="5f", reason="no slot became free"))
    house.drain()
    assert (house.work / "numbers").read_text().split() == ["1"]
    assert house.event_types(job) == ["enqueued", "claimed", "released", "claimed", "succeeded"]
    ctl = Ctl(house.path.parent)
    assert [attempt["attempt"] for attempt in ctl.show(job)["attempts"]] == [1]
    shown = "\n".join(screen(ctl, "history", job).lines)
    assert shown.count("claimed") == 1
    assert "released" not in shown
