"""`wait` as typed: the jobs that it waits for, its exit codes and its messages."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from queuectl import BadInput, Queue, QueueError, TimedOut
from tests.behaviour.test_pipes import QUEUECTL, shell
from tests.behaviour.test_terminal import Terminal
from tests.ctl import PROGRAM, UNPOLLED_S, Ctl

HERE = os.getcwd()
"""For PYTHONPATH: a job inherits that of the worker, whose folders may be relative."""


@pytest.mark.parametrize(
    "words",
    [
        ["--any", "-"],
        ["-"],
        ["--tag", "typo=1"],
        ["--tag", "typo=1", "--any"],
        ["--queue", "typo"],
        ["--state", "dead"],
    ],
)
def test_waiting_without_matching_jobs_exits_with_3(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true")
    done = ctl("wait", *words, code=3, deadline_s=10)
    assert "error: no matching jobs; nothing to wait for" in done.err


def test_waiting_for_refused_jobs_does_not_succeed(ctl: Ctl) -> None:
    ctl.enqueue("true")
    (ctl.folder / "bad").write_text("no json")
    done = shell(
        ctl, "set +o pipefail; queuectl enqueue --file bad | queuectl wait - && echo deploy"
    )
    assert done.stdout == ""


def test_python_returns_at_once_for_no_ids_and_refuses_any_of_them(ctl: Ctl) -> None:
    with Queue(ctl.place) as queue:
        assert queue.wait() == []
        with pytest.raises(BadInput, match="at least one job id"):
            queue.wait(any_of=True)


def test_waiting_for_all_waits_only_for_open_jobs(ctl: Ctl) -> None:
    ctl.dead_job()
    assert ctl("wait", "--all").out == ""
    good, cancelled = ctl.enqueue("true"), ctl.enqueue("true", delay="1h")
    ctl("cancel", cancelled)
    waiting = ctl.start("wait", "--all")
    waiting.says("No worker is running")
    ctl.drain()
    done = waiting.ends()
    assert (done.code, done.out) == (0, f"{good}\tcompleted")


def test_a_filter_counts_failures_of_the_past_unless_only_open_jobs_are_meant(ctl: Ctl) -> None:
    ctl.enqueue("exit 3", max_retries=0, tag="batch=7")
    ctl.drain()
    assert ctl("wait", "--tag", "batch=7", code=1).lines == ["1\tdead"]
    assert "No open jobs" in ctl("wait", "--tag", "batch=7", "--open").err
    assert ctl("wait", "1", "--open").out == ""
    assert ctl("wait", "--tag", "batch=7", "--ignore-failures").lines == ["1\tdead"]


def test_a_reopened_job_is_waited_for_again(ctl: Ctl) -> None:
    dead, late = ctl.dead_job(), ctl.enqueue("true", delay="1h")
    waiting = ctl.start("wait", dead, late)
    waiting.says("No worker is running")
    ctl("dlq", "retry", dead)
    ctl("cancel", late)
    ctl("cancel", dead)
    assert waiting.ends().out.splitlines() == [f"{dead}\tcancelled", f"{late}\tcancelled"]


@pytest.mark.parametrize("line", ["wait $QUEUECTL_JOB", "wait --all", "logs -f $QUEUECTL_JOB"])
def test_a_job_does_not_wait_for_itself(ctl: Ctl, line: str) -> None:
    job = ctl.enqueue(f"{QUEUECTL} {line}", max_retries=0, env={"PYTHONPATH": HERE})
    ctl.drain()
    assert ctl.show(job)["exit_code"] == 4
    assert f"job {job} runs this command" in ctl("logs", job).out


def test_a_job_may_wait_for_others_and_python_refuses_itself(ctl: Ctl) -> None:
    other = ctl.enqueue("true", priority=1)
    job = ctl.enqueue(f"{QUEUECTL} wait --any {other} $QUEUECTL_JOB", env={"PYTHONPATH": HERE})
    ctl.drain()
    assert ctl.show(job)["state"] == "completed"


def test_variables_of_an_ended_job_prevent_no_waiting(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ctl.enqueue("true")
    for name, value in {"JOB": job, "DB": str(ctl.db), "ATTEMPT": "1"}.items():
        monkeypatch.setenv(f"QUEUECTL_{name}", value)
    with Queue(ctl.place) as queue, pytest.raises(QueueError, match=r"timed out after 100ms"):
        queue.wait(job, timeout_s=0.1)


@pytest.mark.parametrize("words", [["events", "-f"], ["wait", "1"], ["logs", "1", "-f"]])
def test_a_closed_output_ends_the_wait_without_new_events(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true", delay="1d")
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ctl.folder,
        env=ctl.env,
    ) as process:
        assert process.stdout
        assert process.stderr
        printed = process.stdout if words[0] == "events" else process.stderr
        printed.readline()
        process.stdout.close()
        assert process.wait(UNPOLLED_S) == 141
        assert b"rror" not in process.stderr.read()


def test_a_wait_says_which_queue_no_worker_serves(ctl: Ctl) -> None:
    ctl.enqueue("true", queue="encodes")
    with ctl.worker("--queue", "default") as worker:
        worker.says("worker ")
        with ctl.running("wait", "last") as waiting:
            waiting.says("No running worker serves queue encodes")
            waiting.says("queuectl worker start --queue encodes")


def test_a_timeout_says_what_is_still_open(ctl: Ctl) -> None:
    for _ in range(7):
        ctl.enqueue("true")
    printed = ctl("wait", "1", "--timeout", "100ms", code=7).err
    assert "error: timed out after 100ms; job 1 is still pending" in printed
    printed = ctl("wait", "--all", "--timeout", "100ms", code=7).err
    assert "7 jobs have not ended: 1, 2, 3, 4, 5, …" in printed


def test_a_terminal_shows_how_many_have_ended_and_for_how_long(ctl: Ctl) -> None:
    done, late = ctl.enqueue("true"), ctl.enqueue("true", delay="1d")
    with ctl.worker():
        ctl("wait", done)
    with Terminal(ctl, "wait", done, late) as shown:
        shown.child.expect(r"waiting.* 1/2 .*0:00:0[0-9]")


@pytest.mark.parametrize("timeout", ["soon", -1, float("nan"), True, [5]])
def test_a_wrong_timeout_in_python_is_bad_input(tmp_path: Path, timeout: Any) -> None:
    with Queue(tmp_path / "queue.db") as queue:
        job = queue.enqueue("true")
        with pytest.raises(BadInput):
            queue.wait(job.id, timeout_s=timeout)
        with pytest.raises(TimedOut):
            queue.wait(job.id, timeout_s="10ms")
