"""A machine, a service or a container shuts down: every process is signalled at once."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from queuectl.worker.attempt import STOP_SEEN_US
from tests.ctl import Ctl, Running, until
from tests.live_queue import LiveQueue
from tests.shapes import sleepers

ORDERS = {"jobs first": -1, "keeper first": 1}
SELF_EXITING = "trap 'exit {0}' TERM; sleep 60 & wait; exit {0}"
PATIENT = """
from queuectl.worker import attempt, keeper
attempt.STOP_SEEN_US = attempt.EXIT_SEEN_US = 60_000_000
keeper.TOGETHER_S = {together_s}
from queuectl.entry import program
program()
"""
"""The program, with time for a slow machine between the signals to a worker and to its jobs."""


@contextmanager
def patient_worker(live: LiveQueue, slots: int = 1, together_s: float = 0.01) -> Iterator[Running]:
    """Run a worker that waits long for the signal that explains the end of a job.

    together_s: how long its keeper takes the same signals for one.
    """
    words = ("--db", str(live.path), "worker", "start", "--count", str(slots))
    running = Ctl(live.work).start_python(PATIENT.format(together_s=together_s), *words)
    try:
        yield running
    finally:
        running.end()


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants, parents first."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(lower for child in below for lower in tree(int(child)))]


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has ended because of a signal to another process


@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGHUP])
@pytest.mark.parametrize("order", ORDERS)
def test_job_killed_by_a_shutdown_runs_again_and_uses_no_retry(
    live: LiveQueue, order: str, number: int
) -> None:
    jobs = [live.enqueue("sleep 60", max_retries=0) for _ in range(4)]
    with patient_worker(live, slots=4) as running:
        until(lambda: len(sleepers(live.work)) == 4 or None, "the jobs")
        signal_all(tree(running.pid)[:: ORDERS[order]], number)
        assert running.ends().code == 0
    for job in jobs:
        assert live.queue.get(job).state == "pending"
        failed = live.wait_for(job, "failed")
        assert (failed.reason, failed.counted) == ("worker-stopped", False)


@pytest.mark.parametrize("code", [143, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_job_that_exits_because_of_a_shutdown_runs_again_and_uses_no_retry(
    live: LiveQueue, order: str, code: int
) -> None:
    job = live.enqueue(SELF_EXITING.format(code), max_retries=0)
    with patient_worker(live) as running:
        until(lambda: len(sleepers(live.work)) == 1 or None, "the job")
        signal_all(tree(running.pid)[:: ORDERS[order]], SIGTERM)
        assert running.ends().code == 0
    assert live.queue.get(job).state == "pending"
    assert live.wait_for(job, "failed").exit_code == code


def test_job_that_fails_while_its_worker_drains_has_failed(live: LiveQueue) -> None:
    job = live.enqueue("touch up; until test -e go; do sleep 0.01; done; exit 3", max_retries=0)
    with live.worker() as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        running.kill(SIGTERM)
        running.says("Finishing 1 job")
        time.sleep(
            STOP_SEEN_US / 1e6
        )  # a failure within this time is taken for an effect of the signal
        (live.work / "go").touch()
        assert running.ends().code == 0
    failed = live.wait_for(job, "failed")
    assert (failed.reason, failed.exit_code, failed.counted) == ("exit", 3, True)


def test_job_killed_by_a_signal_has_failed_if_its_worker_runs_on(live: LiveQueue) -> None:
    job = live.enqueue("kill -TERM $$", max_retries=0)
    live.drain()
    failed = live.wait_for(job, "failed")
    assert (failed.reason, failed.signal, failed.counted) == ("signal", SIGTERM, True)


def test_programs_of_a_job_may_clean_up_during_a_shutdown(live: LiveQueue) -> None:
    tidy = "trap 'sleep 0.5; echo tidied > tidied; exit' TERM; sleep 60 & wait"
    (live.work / "server").write_text(tidy)
    live.enqueue("sh server & sleep 60; true", grace="20s")
    with live.worker() as running:
        until(lambda: len(sleepers(live.work)) == 2 or None, "the job and its server")
        signal_all(tree(running.pid), SIGTERM)
        assert running.ends().code == 0
    assert (live.work / "tidied").exists()


def test_two_simultaneous_signals_to_a_group_are_one_request(live: LiveQueue) -> None:
    """`timeout` signals the program that it runs, and then its whole group."""
    job = live.enqueue("touch up; until test -e go; do sleep 0.01; done")
    with patient_worker(live, together_s=3) as running:
        until(lambda: (live.work / "up").exists() or None, "the job")
        for _ in range(2):
            running.kill(SIGTERM)
        running.says("Finishing 1 job")
        (live.work / "go").touch()
        assert running.ends().code == 0
    assert live.event_types(job) == ["enqueued", "claimed", "succeeded"]
