"""Ctrl-C once, twice and three times; `worker stop`; and no leftovers after each."""

from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from queuectl.core.requests import RequestStop
from tests.ctl import UNPOLLED_S, Ctl, until
from tests.live_queue import LiveQueue, kill
from tests.shapes import SHAPES, complete, in_folder


def left_behind(live: LiveQueue) -> list[str]:
    """Return the names of lock and doorbell files: a stopped worker must leave none."""
    side_folder = live.path.parent / "queue.db.d"
    return [file.name for part in ("locks", "bells") for file in (side_folder / part).iterdir()]


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
def test_first_signal_lets_running_jobs_finish(live: LiveQueue, number: int) -> None:
    running_job = live.enqueue("touch up; while [ ! -e go ]; do sleep 0.01; done")
    waiting_job = live.enqueue("true")
    with live.worker(slots=1) as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        running.kill(number)
        running.says("Finishing 1 job")
        (live.work / "go").touch()
        assert running.ends().code == 0
    assert live.queue.get(running_job).state == "completed"
    assert live.queue.get(waiting_job).state == "pending"
    assert live.workers()[0].ended == "drained"
    assert left_behind(live) == []


def test_idle_worker_exits_at_the_first_signal(live: LiveQueue) -> None:
    with live.worker() as running:
        running.says("SIGTERM or SIGINT")
        running.kill(SIGINT)
        assert running.ends().code == 0
    assert left_behind(live) == []


def test_second_signal_stops_running_jobs_and_requeues_them(live: LiveQueue) -> None:
    job = live.enqueue("trap 'echo tidied > tidied; exit' TERM; touch up; sleep 60 & wait")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        for words in ("Finishing", "Stopping"):
            running.kill(SIGINT)
            running.says(words)
        assert running.ends().code == 130
    assert (live.work / "tidied").exists()
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]
    assert live.queue.get(job).retries_used == 0
    assert in_folder(live.work) == []
    assert left_behind(live) == []


def test_third_signal_kills_jobs_that_ignore_term(live: LiveQueue) -> None:
    job = live.enqueue(SHAPES["deaf"], grace="1h")
    with live.worker() as running:
        until(lambda: complete("deaf", live.work), "the job")
        for words in ("Finishing", "Stopping", "Killing"):
            running.kill(SIGINT)
            running.says(words)
        assert running.ends().code == 130
    assert live.queue.get(job).state == "pending"
    assert in_folder(live.work) == []


@pytest.mark.parametrize(("how", "state"), [("drain", "completed"), ("now", "pending")])
def test_recorded_stop_is_carried_out(live: LiveQueue, how: str, state: str) -> None:
    job = live.enqueue("touch up; while [ ! -e go ]; do sleep 0.01; done")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        stop = RequestStop(worker_id=live.workers()[0].id, how=how)  # type: ignore[arg-type]
        live.queue.send(stop)
        running.says("Finishing" if how == "drain" else "Stopping")
        if how == "drain":
            (live.work / "go").touch()
        assert running.ends().code == 0
    assert live.queue.get(job).state == state


def test_jobs_get_no_signal_of_the_terminal(live: LiveQueue) -> None:
    job = live.enqueue(
        "trap 'touch hit' INT TERM HUP; touch up; while [ ! -e go ]; do sleep 0.01; done"
    )
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        running.kill(SIGINT)
        running.says("Finishing")
        (live.work / "go").touch()
        assert running.ends().code == 0
    assert live.wait(job) == ["completed"]
    assert not (live.work / "hit").exists()


def test_stop_recorded_while_the_worker_waits_to_write_is_noticed(live: LiveQueue) -> None:
    """Its own record came after the stop, and it once took that for the only new event."""
    job = live.enqueue("touch up; until test -e go; do sleep 0.01; done")
    with live.worker(slots=1) as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        with live.queue.write() as session:
            session.send(RequestStop(worker_id=live.workers()[0].id, how="drain"))
            (live.work / "go").touch()
            until(lambda: not in_folder(live.work) or None, "the job's end")
        assert running.ends(UNPOLLED_S).code == 0
    assert live.event_types(job) == ["enqueued", "claimed", "succeeded"]


DEAF = "trap '' TERM; touch up; sleep 60"


@pytest.mark.parametrize("words", [(), ("--now",)])
def test_stop_continues_if_the_supervisor_is_killed(
    ctl: Ctl, live: LiveQueue, words: tuple[str, ...]
) -> None:
    job = live.enqueue(DEAF, grace="1h")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        supervisor = live.supervisor(running)
        stop = ctl.start("worker", "stop", *words)
        running.says("Stopping" if words else "Finishing")
        kill(supervisor)
        assert stop.ends().code == 0
        assert not any(worker.active for worker in live.workers())
        assert running.ends().code == 0
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]
    assert live.queue.get(job).retries_used == 0


def test_stop_ends_the_successor_of_a_killed_supervisor(ctl: Ctl, live: LiveQueue) -> None:
    job = live.enqueue(DEAF, grace="100ms")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        kill(live.supervisor(running))
        ctl("worker", "stop", "--now")
        assert not any(worker.active for worker in live.workers())
        assert running.ends().code == 0
    assert live.queue.get(job).state == "pending"


@pytest.mark.parametrize(("signals", "code"), [(1, 0), (2, 130)])
def test_successor_of_a_supervisor_killed_while_stopping_only_requeues(
    live: LiveQueue, signals: int, code: int
) -> None:
    job = live.enqueue(DEAF, grace="1h")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        supervisor = live.supervisor(running)
        for words in ("Finishing", "Stopping")[:signals]:
            running.kill(SIGTERM)
            running.says(words)
        kill(supervisor)
        assert running.ends().code == code
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]


def test_signal_to_the_keeper_of_a_killed_supervisor_is_handled(live: LiveQueue) -> None:
    job = live.enqueue(DEAF, grace="1h")
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        supervisor = live.supervisor(running)
        kill(supervisor)
        running.kill(SIGTERM)
        assert running.ends().code == 0
    assert live.event_types(job) == ["enqueued", "claimed", "failed", "requeued"]
