"""A worker that stops records it in the log, and a stopped worker is not lost."""

import subprocess
from signal import SIGTERM

from queuectl.core.requests import Claim, Release
from queuectl.worker.prefetch import PAUSE_US
from tests.behaviour.test_terminal import screen
from tests.ctl import PROGRAM, Ctl, until
from tests.live_queue import LiveQueue


def test_draining_worker_is_shown_as_stopping(live: LiveQueue) -> None:
    with live.worker() as running:
        job = live.enqueue("sleep 60")
        live.wait_for(job, "claimed")
        running.kill(SIGTERM)
        until(lambda: live.workers()[0].state == "stopping" or None, "the stop in the log")
        assert live.queue.get(job).state == "processing"
        live.queue.cancel(job)
        assert running.ends().code == 0
    assert live.workers()[0].state == "stopped"


def test_stopped_worker_is_not_reported_as_dead(live: LiveQueue) -> None:
    for _ in range(5):
        with live.worker() as running:
            job = live.enqueue("sleep 60")
            live.wait_for(job, "claimed")
            stop = (*PROGRAM, "--db", str(live.path), "worker", "stop", "--now")
            answer = subprocess.run(stop, capture_output=True, text=True, check=True)
            running.ends()
            assert "died" not in answer.stderr + answer.stdout
            live.queue.cancel(job)
    assert {worker.state for worker in live.workers()} == {"stopped"}


def test_claims_of_short_jobs_behind_long_ones_are_released_at_most_once(live: LiveQueue) -> None:
    """Prefetched claims that find no slot are released, and not claimed again for a while."""
    short = [live.enqueue("true") for _ in range(8)]
    long = [live.enqueue("sleep 0.3") for _ in range(2)]
    behind = [live.enqueue("true") for _ in range(4)]
    live.drain(slots=2)
    assert live.wait(*short, *long, *behind) == ["completed"] * 14
    longest_us = max(live.wait_for(job, "succeeded").duration_us for job in (*short, *long))
    released = [live.event_types(job).count("released") for job in behind]
    assert max(released) <= 1 + longest_us // PAUSE_US
    assert all(live.queue.get(job).attempts == 1 for job in behind)


def test_released_claim_does_not_change_the_attempt_number(live: LiveQueue) -> None:
    job = live.enqueue("echo $QUEUECTL_ATTEMPT >> numbers")
    with live.queue.write("5f") as session:
        session.send(Claim(job_id=job, worker="5f", slot=1, at_us=session.at_us))
        session.send(Release(job_id=job, attempt=1, worker="5f", reason="no slot became free"))
    live.drain()
    assert (live.work / "numbers").read_text().split() == ["1"]
    assert live.event_types(job) == ["enqueued", "claimed", "released", "claimed", "succeeded"]
    ctl = Ctl(live.path.parent)
    assert [attempt["attempt"] for attempt in ctl.show(job)["attempts"]] == [1]
    shown = "\n".join(screen(ctl, "history", job).lines)
    assert shown.count("claimed") == 1
    assert "released" not in shown
