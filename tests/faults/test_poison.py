"""A job that kills its worker ends in the DLQ; the jobs that ran in parallel do not."""

from tests.behaviour.test_terminal import screen
from tests.ctl import Ctl
from tests.live_queue import LiveQueue, kill

POISON = "kill -9 $PPID; sleep 600"


def test_job_that_kills_its_worker_is_dead_but_parallel_jobs_complete(live: LiveQueue) -> None:
    neighbours = [live.enqueue("sleep 0.2") for _ in range(3)]
    poison = live.enqueue(POISON)
    behind = [live.enqueue("sleep 0.2") for _ in range(4)]
    with live.worker(slots=4):
        assert live.wait(poison, *neighbours, *behind) == ["dead", *["completed"] * 7]
    losses = [event for event in live.event_types(poison) if event == "failed"]
    assert len(losses) == 3


def test_jobs_of_a_killed_worker_run_in_parallel_again(live: LiveQueue) -> None:
    jobs = [live.enqueue("sleep 60") for _ in range(8)]
    with live.worker(slots=8) as running:
        for job in jobs:
            live.wait_for(job, "claimed")
        kill(live.supervisor(running))
        for job in jobs:
            live.wait_for(job, "claimed", attempt=2)
        assert [live.queue.get(job).state for job in jobs] == ["processing"] * 8


def test_jobs_that_lost_two_workers_in_a_row_run_one_at_a_time(live: LiveQueue, ctl: Ctl) -> None:
    suspects = [live.enqueue("sleep 60") for _ in range(3)]
    with live.worker(slots=4) as running:
        for attempt in (1, 2):
            for job in suspects:
                live.wait_for(job, "claimed", attempt=attempt)
            kill(live.supervisor(running))
        live.wait_for(suspects[0], "claimed", attempt=3)
        assert live.wait(live.enqueue("true")) == ["completed"]
        states = [live.queue.get(job).state for job in suspects]
        shown = screen(ctl, "show", suspects[1], columns=200).lines
    assert states == ["processing", "pending", "pending"]
    assert shown[-1] == (
        "Its worker was lost 2 times in a row; a worker runs such jobs one at a time, now job 1"
    )
