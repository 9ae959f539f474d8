"""The wall clock steps, or the worker sleeps: no delay is late or negative, no loop is busy."""

import os
import sqlite3
import time
from pathlib import Path
from signal import SIGCONT

import pytest

from tests.ctl import UNPOLLED_S, Ctl, Running, until
from tests.live_queue import freeze
from tests.machine import FAKETIME
from tests.sampling import first_of

HOUR_S, YEAR_S = 3_600, 365 * 24 * 3_600


SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
"""Run by Python at its start: if libfaketime leaves the monotonic clock alone, each clock_nanosleep
fails with EINVAL, so that a command that waits for a lock would fail."""


class Clock:
    """A wall clock that the test can step, for all processes with its environment."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.set(0)
        modules = folder / "modules"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(SLEEP)
        self.env = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(modules),
        }

    def set(self, offset_s: int) -> None:
        """Let it be wrong by so much."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def supervisor(worker: Running) -> int:
    """Return the pid of the supervisor."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    return until(lambda: [int(pid) for pid in children.read_text().split()], "a supervisor")[0]


def used_s(pid: int) -> float:
    """Return the CPU seconds so far. Source: proc_pid_stat(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def durations_s(ctl: Ctl, job: str) -> list[float]:
    """Return the durations of the job's attempts."""
    return [attempt["duration_s"] for attempt in ctl.show(job)["attempts"]]


@pytest.mark.parametrize("step_s", first_of([-HOUR_S, HOUR_S, 10 * YEAR_S]))
def test_retry_comes_on_time_although_the_clock_steps(ctl: Ctl, clock: Clock, step_s: int) -> None:
    job = ctl.enqueue("test $QUEUECTL_ATTEMPT = 2", backoff_base=1.5)
    with ctl.running("worker", "start", env=clock.env) as worker:
        ctl.wait_for(job, "scheduled-retry")
        clock.set(step_s)
        ctl.wait_for(job, "succeeded", deadline_s=UNPOLLED_S)
        assert used_s(supervisor(worker)) < 2
    assert min(durations_s(ctl, job)) >= 0
    ctl("verify")
    ctl("replay", "--check")


def test_duration_is_right_although_the_clock_is_set_back(ctl: Ctl, clock: Clock) -> None:
    job = ctl.enqueue("until test -e stepped; do sleep 0.01; done", cwd=str(ctl.folder))
    with ctl.running("worker", "start", env=clock.env):
        ctl.wait_for(job, "claimed")
        clock.set(-10 * YEAR_S)
        (ctl.folder / "stepped").touch()
        ctl.wait_for(job, "succeeded")
    assert 0 <= durations_s(ctl, job)[0] < 20
    ctl("verify")


def test_delayed_job_runs_after_the_clock_has_passed_its_time(ctl: Ctl, clock: Clock) -> None:
    delayed = ctl.enqueue("true", delay="5h")
    with ctl.running("worker", "start", env=clock.env) as worker:
        worker.says("SIGTERM or SIGINT")
        clock.set(6 * HOUR_S)
        ctl("enqueue", "--", "true", env=clock.env)
        ctl.wait_for(delayed, "succeeded")


def test_retry_due_during_a_suspend_runs_when_the_worker_wakes(ctl: Ctl) -> None:
    with ctl.running("worker", "start") as worker:
        worker.says("SIGTERM or SIGINT")
        processes = (worker.pid, supervisor(worker))
        for delay_s in (1, 4, 16):  # the first that is longer than this machine needs to suspend
            job = ctl.enqueue("test $QUEUECTL_ATTEMPT = 2", backoff_base=delay_s)
            due_at_us = ctl.wait_for(job, "scheduled-retry")["data"]["due_at_us"]
            freeze(*processes)
            if suspended := ctl.event_types(job)[-1] == "scheduled-retry":
                break
            resume(*processes)
        assert suspended
        until(lambda: time.time_ns() // 1000 > due_at_us + 500_000 or None, "the retry to be due")
        assert ctl.event_types(job)[-1] == "scheduled-retry"
        resume(*processes)
        ctl.wait_for(job, "succeeded", deadline_s=UNPOLLED_S)


def resume(*pids: int) -> None:
    """Continue stopped processes."""
    for pid in pids:
        os.kill(pid, SIGCONT)


def test_delays_start_again_after_a_clock_ten_years_ahead_is_corrected(
    ctl: Ctl, clock: Clock
) -> None:
    clock.set(10 * YEAR_S)
    command = "until [ -e go ]; do sleep 0.01; done; test $QUEUECTL_ATTEMPT = 2"
    failing = ctl.enqueue(command, backoff_base=1)
    with ctl.running("worker", "start", env=clock.env) as worker:
        ctl.wait_for(failing, "claimed")
        with ctl.running("worker", "stop"):
            worker.says("Finishing")
            (ctl.folder / "go").touch()
            worker.ends()  # so the retry cannot become due
    assert ctl.event_types(failing)[-1] == "scheduled-retry"
    delayed = ctl("enqueue", "--delay", "1s", "--", "true", env=clock.env).out.strip()
    fixed = ctl("enqueue", "--run-at", "in 1h", "--", "true", env=clock.env).out.strip()
    clock.set(0)
    with ctl.running("worker", "start", env=clock.env):
        for job in (failing, delayed):
            ctl.wait_for(job, "succeeded", deadline_s=UNPOLLED_S)
            again = [event for event in ctl.history(job) if event["type"] == "rescheduled"]
            assert [event["data"]["why"] for event in again] == ["clock-set-back"]
    assert ctl.show(fixed)["state"] == "scheduled"
    ctl("replay", "--check")


def test_delay_starts_again_in_a_running_worker_too(ctl: Ctl, clock: Clock) -> None:
    with ctl.running("worker", "start", env=clock.env) as worker:
        worker.says("SIGTERM or SIGINT")
        delayed = ctl("enqueue", "--delay", "2s", "--", "true", env=clock.env).out.strip()
        clock.set(-HOUR_S)
        ctl(
            "enqueue", "--", "true", env=clock.env
        )  # wakes the worker, which otherwise checks every 30 s
        ctl.wait_for(delayed, "succeeded", deadline_s=UNPOLLED_S)


def test_a_command_with_another_clock_waits_for_a_lock(ctl: Ctl, clock: Clock) -> None:
    """The control of these tests: the clock is the only thing that is not as usual."""
    ctl.enqueue("true")
    holder = sqlite3.connect(ctl.db, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ctl.running("enqueue", "--", "true", env=clock.env) as waiting:
        waiting.says("waiting for")
        holder.execute("ROLLBACK")
        assert waiting.ends().code == 0
    holder.close()
