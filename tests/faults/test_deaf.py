"""Jobs that leave their session, ignore TERM or leave processes: timeout, cancel and end."""

import pytest

from tests.ctl import until
from tests.live_queue import LiveQueue
from tests.sampling import first_of
from tests.shapes import SHAPES, complete, in_folder, sleepers


@pytest.mark.parametrize("shape", SHAPES)
def test_timeout_ends_all_processes_of_a_job(live: LiveQueue, shape: str) -> None:
    job = live.enqueue(SHAPES[shape], timeout="500ms", grace="100ms", max_retries=0)
    live.drain()
    assert live.wait(job) == ["dead"]
    assert live.wait_for(job, "failed").reason == "timeout"
    assert in_folder(live.work) == []


@pytest.mark.parametrize("shape", first_of(SHAPES, 3))
def test_cancel_ends_all_processes_of_a_job(live: LiveQueue, shape: str) -> None:
    job = live.enqueue(SHAPES[shape], grace="100ms")
    with live.worker():
        until(lambda: complete(shape, live.work), "the whole job")
        live.queue.cancel(job)
        assert live.wait(job) == ["cancelled"]
        assert in_folder(live.work) == []
    assert live.event_types(job) == ["enqueued", "claimed", "cancel-requested", "cancelled"]


def test_grace_applies_to_children_of_a_dead_shell_too(live: LiveQueue) -> None:
    tidy = "trap 'sleep 0.3; echo tidied > tidied; exit' TERM; sleep 60 & wait"
    (live.work / "server").write_text(tidy)
    job = live.enqueue("sh server & sleep 60; true", grace="20s")
    with live.worker():
        until(lambda: len(sleepers(live.work)) == 2 or None, "the job and its server")
        live.queue.cancel(job)
        assert live.wait(job) == ["cancelled"]
    assert (live.work / "tidied").exists()
    assert live.wait_for(job, "cancelled").stragglers == 0


def test_leftover_processes_of_a_successful_job_are_ended_and_counted(live: LiveQueue) -> None:
    daemon = "(setsid sh -c 'echo up > up; exec sleep 60' <&- >&- 2>&- &)"
    job = live.enqueue(f"{daemon}; sleep 60 & until [ -e up ]; do :; done")
    live.drain()
    succeeded = live.wait_for(job, "succeeded")
    assert succeeded.stragglers == 2
    assert in_folder(live.work) == []


def test_child_with_the_output_open_does_not_delay_the_end(live: LiveQueue) -> None:
    job = live.enqueue("sleep 60 & echo done")
    live.drain()
    assert live.wait_for(job, "succeeded").output_bytes == 5


def test_job_that_closes_its_output_runs_on(live: LiveQueue) -> None:
    job = live.enqueue("exec >&- 2>&-; sleep 0.3; true")
    live.drain()
    assert live.wait_for(job, "succeeded").duration_us >= 300_000


def test_end_of_a_job_does_not_end_daemons_of_other_jobs(live: LiveQueue) -> None:
    live.enqueue("(env -i setsid setsid sleep 60 <&- >&- 2>&- &); sleep 60")
    with live.worker(slots=2):
        until(lambda: complete("bare daemon", live.work), "the daemon")
        quick = [live.enqueue("sleep 60 & true") for _ in range(5)]
        assert live.wait(*quick) == ["completed"] * 5
        assert complete("bare daemon", live.work) is not None


def test_endless_output_is_kept_up_to_its_limit(live: LiveQueue) -> None:
    job = live.enqueue("head -c 300000000 /dev/zero; echo end")
    live.drain()
    succeeded = live.wait_for(job, "succeeded")
    assert succeeded.output_bytes == 300_000_004
    assert succeeded.kept_bytes <= live.queue.get(job).spec.output_limit_bytes
    files = list((live.path.parent / "queue.db.d" / "outputs" / f"{job}.1").iterdir())
    assert sum(file.stat().st_size for file in files) == succeeded.kept_bytes
