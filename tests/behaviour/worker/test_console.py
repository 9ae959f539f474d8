"""The messages of a worker, line by line."""

from typing import Any

import pytest

from eventstore.events.job import (
    Claimed,
    Dead,
    Enqueued,
    Failed,
    Requeued,
    ScheduledRetry,
    Succeeded,
    Usage,
)
from projections.folds.job import Job
from queuectl.core.requests import Outcome
from queuectl.worker.console import Console
from queuectl.worker.rounds import Result
from queuectl.worker.stopping import Urgency
from tests.given import BEGAN_US, SECOND_US, given


def line_about(capfd: pytest.CaptureFixture[str], outcome: Outcome, job: Job | None) -> str:
    before = job or an_ended_job()
    Console(jobs=True).ended(Result(before, outcome, None), job)
    return capfd.readouterr().err


def an_ended_job(*events: Any) -> Job:
    spec = Enqueued(command="x", max_retries=3, backoff_base=2.0)
    return given(spec, Claimed(attempt=1, worker="5f", slot=1), *events)


def test_success_is_reported_with_its_duration(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(ended="exit", exit_code=0, usage=Usage(duration_us=2_340_000))
    assert "completed in 2.3s\n" in line_about(capfd, outcome, an_ended_job(Succeeded(attempt=1)))


def test_failure_is_reported_with_the_next_attempt(capfd: pytest.CaptureFixture[str]) -> None:
    due_at_us = BEGAN_US + 5 * SECOND_US
    job = an_ended_job(
        Failed(attempt=1, reason="signal", signal=9),
        ScheduledRetry(attempt=1, retry=1, delay_us=2 * SECOND_US, due_at_us=due_at_us),
    )
    assert job.changed_at_us == BEGAN_US + 3 * SECOND_US
    line = line_about(capfd, Outcome(ended="signal", signal=9, usage=Usage(duration_us=4_000)), job)
    assert "failed: signal 9 (SIGKILL) after 4ms; retry in 2s\n" in line


def test_an_exit_code_0_that_is_a_failure_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    spec = Enqueued(command="x", max_retries=0, backoff_base=2.0, success_exit=(3,))
    failed = Failed(attempt=1, reason="exit", exit_code=0)
    dead = Dead(attempt=1, reason="retries-used-up")
    job = given(spec, Claimed(attempt=1, worker="5f", slot=1), failed, dead)
    line = line_about(
        capfd, Outcome(ended="exit", exit_code=0, usage=Usage(duration_us=4_000)), job
    )
    assert "dead: exit 0 (success is only 3) after 4ms" in line


def test_superseded_result_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert "taken over, its result was discarded" in line_about(capfd, Outcome(ended="exit"), None)


def test_text_of_a_job_cannot_move_the_cursor(capfd: pytest.CaptureFixture[str]) -> None:
    job = an_ended_job(Failed(attempt=1, reason="not-found"))
    line = line_about(capfd, Outcome(ended="not-found", error="\x1b[2Jx: command not found"), job)
    assert "\x1b" not in line
    assert "command not found" in line


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_is_offered_on_a_terminal_only(
    capfd: pytest.CaptureFixture[str], terminal: bool
) -> None:
    console = Console(jobs=True, terminal=terminal)
    console.greet("5f", 2, (), "/q.db")
    for urgency in (Urgency.DRAIN, Urgency.NOW, Urgency.AT_ONCE):
        console.stopping(urgency, 2)
    text = capfd.readouterr().err
    assert ("Ctrl-C" in text) == terminal
    assert ("SIGTERM" in text) != terminal
    assert "Finishing 2 jobs" in text


def test_start_of_a_job_is_reported_with_its_name_and_command(
    capfd: pytest.CaptureFixture[str],
) -> None:
    spec = Enqueued(command="tar c / " + "x" * 100, name="nightly", max_retries=3, backoff_base=2.0)
    job = given(spec, Claimed(attempt=1, worker="5f", slot=1))
    Console(jobs=True).started(job)
    line = capfd.readouterr().err
    assert line.startswith("job 1 (nightly) started: tar c / xxx")
    assert line.endswith("x…\n")
    Console(jobs=False).started(job)
    assert capfd.readouterr().err == ""


def test_last_line_of_a_stopped_worker_counts_its_jobs(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(jobs=False)
    console.ended(
        Result(an_ended_job(), Outcome(ended="exit", exit_code=0), None),
        an_ended_job(Succeeded(attempt=1)),
    )
    console.closing("drained")
    assert capfd.readouterr().err == "Stopped: 1 completed.\n"


def test_last_line_counts_requeued_jobs(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(jobs=False)
    stopped = Failed(attempt=1, reason="worker-stopped", counted=False)
    requeued = an_ended_job(stopped, Requeued(why="worker-stopped"))
    console.ended(Result(an_ended_job(), Outcome(ended="worker-stopped"), None), requeued)
    console.closing("stopped")
    assert capfd.readouterr().err == "Stopped: 1 requeued.\n"


def test_last_line_of_a_worker_whose_only_attempt_failed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    console = Console(jobs=False)
    waiting = an_ended_job(
        Failed(attempt=1, reason="exit", exit_code=1),
        ScheduledRetry(attempt=1, retry=1, delay_us=2 * SECOND_US, due_at_us=BEGAN_US),
    )
    console.ended(Result(an_ended_job(), Outcome(ended="exit", exit_code=1), None), waiting)
    console.closing("until-idle")
    assert capfd.readouterr().err == "Idle: 1 attempt failed; no other job can run now.\n"


def test_an_idle_worker_that_ran_nothing_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    Console(jobs=False).closing("until-idle")
    assert capfd.readouterr().err == "Idle: no job can run now.\n"


@pytest.mark.parametrize(("name", "shown"), [(None, "tar c /"), ("nightly", "nightly")])
def test_a_quiet_worker_says_which_job_is_dead(
    capfd: pytest.CaptureFixture[str], name: str | None, shown: str
) -> None:
    spec = Enqueued(command="tar c /", name=name, max_retries=0, backoff_base=2.0)
    failed = Failed(attempt=1, reason="exit", exit_code=5)
    dead = Dead(attempt=1, reason="retries-used-up")
    job = given(spec, Claimed(attempt=1, worker="5f", slot=1), failed, dead)
    Console(jobs=False, quiet=True).ended(
        Result(job, Outcome(ended="exit", exit_code=5), None), job
    )
    line = capfd.readouterr().err
    assert line == f"job 1 ({shown}) dead: exit 5; see queuectl dlq list\n"
