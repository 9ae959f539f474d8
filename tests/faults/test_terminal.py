"""A worker in a real terminal."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pexpect

from tests.at_terminal import ended
from tests.ctl import DEADLINE_S, PROGRAM, until
from tests.live_queue import LiveQueue
from tests.shapes import in_folder

JOB = "trap 'touch hit' INT HUP QUIT; touch up; while [ ! -e go ]; do sleep 0.01; done; true"


@contextmanager
def terminal(live: LiveQueue) -> Iterator[Any]:
    """Type `worker start`, and wait until its one job runs."""
    words = [*PROGRAM[1:], "--db", str(live.path), "worker", "start"]
    child = pexpect.spawn(sys.executable, words, timeout=DEADLINE_S, encoding="utf-8")
    try:
        child.expect("Press Ctrl-C to finish running jobs and exit, twice to stop them")
        child.expect(r"job \d+ started: trap")
        until(lambda: (live.work / "up").exists() or None, "the job")
        yield child
    finally:
        child.terminate(force=True)


def test_one_ctrl_c_drains_and_reaches_no_job(live: LiveQueue) -> None:
    job = live.enqueue(JOB)
    with terminal(live) as child:
        child.sendintr()
        child.expect(r"Finishing 1 job \(Ctrl-C again to stop it\)")
        (live.work / "go").touch()
        child.expect(f"job {job} completed in")
        child.expect("Stopped: 1 completed.")
        assert ended(child) == 0
    assert not (live.work / "hit").exists()


def test_two_ctrl_c_stop(live: LiveQueue) -> None:
    job = live.enqueue(JOB, grace="100ms")
    with terminal(live) as child:
        child.sendintr()
        child.expect("Finishing")
        child.sendintr()
        child.expect(r"Stopping 1 job \(Ctrl-C again to kill it\)")
        child.expect(f"job {job} stopped and requeued")
        assert ended(child) == 130
    assert not (live.work / "hit").exists()
    assert in_folder(live.work) == []


def test_closed_terminal_lets_running_jobs_finish(live: LiveQueue) -> None:
    job = live.enqueue(JOB)
    with terminal(live) as child:
        child.ptyproc.fileobj.close()
        (live.work / "go").touch()
        assert live.wait(job) == ["completed"]
        until(lambda: live.workers()[0].ended == "drained" or None, "the worker leaves")
    assert not (live.work / "hit").exists()


def test_ctrl_z_returns_the_prompt_and_the_worker_runs_on(live: LiveQueue) -> None:
    job = live.enqueue(JOB)
    words = shlex.join([*PROGRAM, "--db", str(live.path), "worker", "start"])
    shell = pexpect.spawn("bash", ["--norc", "-i"], timeout=DEADLINE_S, encoding="utf-8")
    try:
        shell.sendline(words)
        until(lambda: (live.work / "up").exists() or None, "the job")
        shell.sendcontrol("z")
        shell.expect("Stopped[^\n]*start")
        (live.work / "go").touch()
        assert live.wait(job, live.enqueue("true")) == ["completed"] * 2
        shell.sendline("fg; echo left with $?")
        # bash repeats the command before it gives it the terminal
        until(lambda: os.tcgetpgrp(shell.child_fd) != shell.pid or None, "the foreground")
        shell.sendintr()
        shell.expect("left with 0")
    finally:
        shell.terminate(force=True)
