"""A job that kills its worker ends in the DLQ; the jobs that ran beside it do not."""

from tests.house import House

POISON = "kill -9 $PPID; sleep 600"


def test_job_that_kills_its_worker_is_dead_and_its_neighbours_are_not(house: House) -> None:
    beside = [house.enqueue("sleep 0.2") for _ in range(3)]
    poison = house.enqueue(POISON)
    behind = [house.enqueue("sleep 0.2") for _ in range(4)]
    with house.worker(slots=4):
        assert house.wait(poison, *beside, *behind) == ["dead", *["completed"] * 7]
    losses = [event for event in house.told(poison) if event == "failed"]
    assert len(losses) == 3
