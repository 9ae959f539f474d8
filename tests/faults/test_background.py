"""Processes that a job leaves running: ended with it and named, or kept if the job asks for it."""

import os
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM

import pytest

from queuectl.worker.process_sweep import alive
from tests.ctl import until
from tests.house import House, kill

SERVER = (
    "setsid sleep 600 > /dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done;"
    " echo $! > server; {}"
)
"""Starts what outlives the shell, then the rest of the job."""


@pytest.fixture
def house(tmp_path: os.PathLike[str]) -> Iterator[House]:
    made = House(tmp_path)  # type: ignore[arg-type]
    yield made
    if alive(pid := server(made)):
        os.kill(pid, SIGKILL)
    made.queue.close()


def server(house: House) -> int:
    """The pid of the background process."""
    file = house.work / "server"
    return int(until(lambda: (file.exists() and file.read_text().strip()) or None, "the server"))


def test_processes_left_behind_are_ended_and_named(house: House) -> None:
    job = house.enqueue(SERVER.format("true"))
    running = house.drain()
    ended = house.wait_for(job, "succeeded")
    assert (ended.stragglers, ended.straggler_names) == (1, ("sleep",))
    assert not alive(server(house))
    (told,) = [line for line in running.err if f"job {job} completed" in line]
    assert told.endswith("; ended 1 background process: sleep")


@pytest.mark.parametrize(("rest", "ends"), [("true", "succeeded"), ("exit 3", "failed")])
def test_kept_process_outlives_its_job_others_and_the_worker(
    house: House, rest: str, ends: str
) -> None:
    job = house.enqueue(SERVER.format(rest), background="keep", max_retries=0)
    with house.worker(slots=1) as running:
        assert house.wait_for(job, ends).stragglers == 0
        # The next attempts, which may not take it for theirs: one leaves a process of its own.
        others = [house.enqueue("true"), house.enqueue("sleep 600 & true")]
        assert house.wait(*others) == ["completed", "completed"]
        assert house.wait_for(others[1], "succeeded").stragglers == 1
        assert alive(server(house))
        running.kill(SIGTERM)
        assert running.ends(deadline_s=10).code == 0
    assert alive(server(house))


def test_kept_process_outlives_a_killed_supervisor(house: House) -> None:
    job = house.enqueue(SERVER.format("true"), background="keep")
    with house.worker() as running:
        house.wait_for(job, "succeeded")
        kill(house.supervisor(running))
        assert house.wait(house.enqueue("true")) == ["completed"]
        assert alive(server(house))


def test_what_a_kept_process_starts_later_is_kept_as_well(house: House) -> None:
    job = house.enqueue(
        "setsid sh -c 'while [ ! -e go ]; do sleep 0.01; done; sleep 600 & echo $! > server'"
        " > /dev/null 2>&1 & true",
        background="keep",
    )
    with house.worker() as running:
        house.wait_for(job, "succeeded")
        (house.work / "go").touch()
        server(house)
        assert house.wait(house.enqueue("true")) == ["completed"]
        running.kill(SIGTERM)
        assert running.ends(deadline_s=10).code == 0
    assert alive(server(house))


@pytest.mark.parametrize("how", ["timeout", "cancel", "worker lost"])
def test_all_of_an_attempt_that_did_not_end_by_itself_is_ended(house: House, how: str) -> None:
    timeout = "1s" if how == "timeout" else None
    job = house.enqueue(
        SERVER.format("sleep 600"), background="keep", timeout=timeout, grace=0.1, max_retries=0
    )
    with house.worker() as running:
        pid = server(house)
        if how == "cancel":
            house.queue.cancel(job)
        if how == "worker lost":
            kill(house.supervisor(running))
        until(lambda: not alive(pid) or None, "the end of the server")
        told = {"timeout": "dead", "cancel": "cancelled", "worker lost": "requeued"}[how]
        assert house.wait_for(job, told)


def test_doctor_does_not_complain_of_kept_processes(house: House) -> None:
    house.enqueue(SERVER.format("true"), background="keep")
    house.drain()
    from tests.ctl import Ctl

    ctl = Ctl(house.path.parent)
    assert str(server(house)) not in ctl("doctor", code=None).out
