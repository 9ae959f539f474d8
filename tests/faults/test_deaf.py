"""Jobs that leave their session, ignore TERM or leave processes: timeout, cancel and end."""

import pytest

from tests.ctl import until
from tests.house import House
from tests.shapes import SHAPES, complete, in_folder, sleepers


@pytest.mark.parametrize("shape", SHAPES)
def test_timeout_ends_all_processes_of_a_job(house: House, shape: str) -> None:
    job = house.enqueue(SHAPES[shape], timeout="500ms", grace="100ms", max_retries=0)
    house.drain()
    assert house.wait(job) == ["dead"]
    assert house.wait_for(job, "failed").reason == "timeout"
    assert in_folder(house.work) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_cancel_ends_all_processes_of_a_job(house: House, shape: str) -> None:
    job = house.enqueue(SHAPES[shape], grace="100ms")
    with house.worker():
        until(lambda: complete(shape, house.work), "the whole job")
        house.queue.cancel(job)
        assert house.wait(job) == ["cancelled"]
        assert in_folder(house.work) == []
    assert house.event_types(job) == ["enqueued", "claimed", "cancel-requested", "cancelled"]


def test_grace_applies_to_children_of_a_dead_shell_too(house: House) -> None:
    tidy = "trap 'sleep 0.3; echo tidied > tidied; exit' TERM; sleep 60 & wait"
    (house.work / "server").write_text(tidy)
    job = house.enqueue("sh server & sleep 60; true", grace="20s")
    with house.worker():
        until(lambda: len(sleepers(house.work)) == 2 or None, "the job and its server")
        house.queue.cancel(job)
        assert house.wait(job) == ["cancelled"]
    assert (house.work / "tidied").exists()
    assert house.wait_for(job, "cancelled").stragglers == 0


def test_leftover_processes_of_a_successful_job_are_ended_and_counted(house: House) -> None:
    daemon = "(setsid sh -c 'echo up > up; exec sleep 60' <&- >&- 2>&- &)"
    job = house.enqueue(f"{daemon}; sleep 60 & until [ -e up ]; do :; done")
    house.drain()
    succeeded = house.wait_for(job, "succeeded")
    assert succeeded.stragglers == 2
    assert in_folder(house.work) == []


def test_child_with_the_output_open_does_not_delay_the_end(house: House) -> None:
    job = house.enqueue("sleep 60 & echo done")
    house.drain()
    assert house.wait_for(job, "succeeded").output_bytes == 5


def test_job_that_closes_its_output_runs_on(house: House) -> None:
    job = house.enqueue("exec >&- 2>&-; sleep 0.3; true")
    house.drain()
    assert house.wait_for(job, "succeeded").duration_us >= 300_000


def test_end_of_a_job_does_not_end_daemons_of_other_jobs(house: House) -> None:
    house.enqueue("(env -i setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with house.worker(slots=2):
        until(lambda: complete("bare daemon", house.work), "the daemon")
        quick = [house.enqueue("sleep 60 & true") for _ in range(5)]
        assert house.wait(*quick) == ["completed"] * 5
        assert complete("bare daemon", house.work) is not None


def test_endless_output_is_kept_up_to_its_limit(house: House) -> None:
    job = house.enqueue("head -c 300000000 /dev/zero; echo end")
    house.drain()
    succeeded = house.wait_for(job, "succeeded")
    assert succeeded.output_bytes == 300_000_004
    assert succeeded.kept_bytes <= house.queue.get(job).spec.output_limit_bytes
    files = list((house.path.parent / "queue.db.d" / "outputs" / f"{job}.1").iterdir())
    assert sum(file.stat().st_size for file in files) == succeeded.kept_bytes
