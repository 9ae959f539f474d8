"""Jobs that leave their session, ignore TERM or leave things behind; asked to end, or ended."""

import pytest

from tests.ctl import until
from tests.house import House
from tests.shapes import SHAPES, complete, in_folder, sleepers


@pytest.mark.parametrize("shape", SHAPES)
def test_job_whose_time_is_up_is_ended_with_all_it_started(house: House, shape: str) -> None:
    job = house.enqueue(SHAPES[shape], timeout="500ms", grace="100ms", max_retries=0)
    house.drain()
    assert house.wait(job) == ["dead"]
    assert house.wait_for(job, "failed").reason == "timeout"
    assert in_folder(house.work) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_cancelled_job_is_ended_with_all_it_started(house: House, shape: str) -> None:
    job = house.enqueue(SHAPES[shape], grace="100ms")
    with house.worker():
        until(lambda: complete(shape, house.work), "the whole job")
        house.queue.cancel(job)
        assert house.wait(job) == ["cancelled"]
        assert in_folder(house.work) == []
    assert house.told(job) == ["enqueued", "claimed", "cancel-requested", "cancelled"]


def test_grace_is_for_what_a_dead_shell_ran_too(house: House) -> None:
    tidy = "trap 'sleep 0.3; echo tidied > tidied; exit' TERM; sleep 60 & wait"
    (house.work / "server").write_text(tidy)
    job = house.enqueue("sh server & sleep 60; true", grace="20s")
    with house.worker():
        until(lambda: len(sleepers(house.work)) == 2 or None, "the job and its server")
        house.queue.cancel(job)
        assert house.wait(job) == ["cancelled"]
    assert (house.work / "tidied").exists()
    assert house.wait_for(job, "cancelled").stragglers == 0


def test_what_a_successful_job_left_behind_is_ended_and_counted(house: House) -> None:
    daemon = "(setsid sh -c 'echo up > up; exec sleep 60' <&- >&- 2>&- &)"
    job = house.enqueue(f"{daemon}; sleep 60 & until [ -e up ]; do :; done")
    house.drain()
    succeeded = house.wait_for(job, "succeeded")
    assert succeeded.stragglers == 2
    assert in_folder(house.work) == []


def test_child_that_holds_the_output_does_not_hold_up_the_end(house: House) -> None:
    job = house.enqueue("sleep 60 & echo done")
    house.drain()
    assert house.wait_for(job, "succeeded").output_bytes == 5


def test_job_that_closes_its_output_goes_on(house: House) -> None:
    job = house.enqueue("exec >&- 2>&-; sleep 0.3; true")
    house.drain()
    assert house.wait_for(job, "succeeded").duration_us >= 300_000


def test_end_of_one_job_leaves_the_others_daemons_alone(house: House) -> None:
    house.enqueue("(env -i setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with house.worker(slots=2):
        until(lambda: complete("bare daemon", house.work), "the daemon")
        quick = [house.enqueue("sleep 60 & true") for _ in range(5)]
        assert house.wait(*quick) == ["completed"] * 5
        assert complete("bare daemon", house.work) is not None


def test_endless_output_costs_the_limit_at_the_most(house: House) -> None:
    job = house.enqueue("head -c 300000000 /dev/zero; echo end")
    house.drain()
    succeeded = house.wait_for(job, "succeeded")
    assert succeeded.output_bytes == 300_000_004
    assert succeeded.kept_bytes <= house.queue.get(job).spec.output_limit_bytes
    files = list((house.path.parent / "queue.db.d" / "outputs" / f"{job}.1").iterdir())
    assert sum(file.stat().st_size for file in files) == succeeded.kept_bytes
