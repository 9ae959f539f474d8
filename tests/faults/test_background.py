"""Processes that a job leaves running: ended and named, or kept if the job requests it."""

import os
import sys
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM

import pytest

from queuectl.worker.keeper import KEPT_FROM
from queuectl.worker.process_sweep import alive
from tests.ctl import until
from tests.live_queue import LiveQueue, kill
from tests.shapes import in_folder

SERVER = (
    "setsid sleep 600 > /dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done;"
    " echo $! > server; {}"
)
"""Starts a process that outlives the shell, then the rest of the job."""


@pytest.fixture
def live(tmp_path: os.PathLike[str]) -> Iterator[LiveQueue]:
    made = LiveQueue(tmp_path)  # type: ignore[arg-type]
    yield made
    if alive(pid := server(made)):
        os.kill(pid, SIGKILL)
    made.queue.close()


def server(live: LiveQueue) -> int:
    """The pid of the background process."""
    file = live.work / "server"
    return int(until(lambda: (file.exists() and file.read_text().strip()) or None, "the server"))


def test_leftover_processes_are_ended_and_named(live: LiveQueue) -> None:
    job = live.enqueue(SERVER.format("true"))
    running = live.drain()
    ended = live.wait_for(job, "succeeded")
    assert (ended.stragglers, ended.straggler_names) == (1, ("sleep",))
    assert not alive(server(live))
    (line,) = [line for line in running.err if f"job {job} completed" in line]
    assert line.endswith("; ended 1 background process: sleep")


@pytest.mark.parametrize(("rest", "ends"), [("true", "succeeded"), ("exit 3", "failed")])
def test_kept_process_outlives_its_job_others_and_the_worker(
    live: LiveQueue, rest: str, ends: str
) -> None:
    job = live.enqueue(SERVER.format(rest), background="keep", max_retries=0)
    with live.worker(slots=1) as running:
        assert live.wait_for(job, ends).stragglers == 0
        # The next attempts must not take it for theirs; one of them leaves its own process.
        others = [live.enqueue("true"), live.enqueue("sleep 600 & true")]
        assert live.wait(*others) == ["completed", "completed"]
        assert live.wait_for(others[1], "succeeded").stragglers == 1
        assert alive(server(live))
        running.kill(SIGTERM)
        assert running.ends().code == 0
    assert alive(server(live))


def test_kept_process_outlives_a_killed_supervisor(live: LiveQueue) -> None:
    job = live.enqueue(SERVER.format("true"), background="keep")
    with live.worker() as running:
        live.wait_for(job, "succeeded")
        kill(live.supervisor(running))
        assert live.wait(live.enqueue("true")) == ["completed"]
        assert alive(server(live))


def test_what_a_kept_process_starts_later_is_kept_as_well(live: LiveQueue) -> None:
    job = live.enqueue(
        "setsid sh -c 'while [ ! -e go ]; do sleep 0.01; done; sleep 600 & echo $! > server'"
        " > /dev/null 2>&1 & true",
        background="keep",
    )
    with live.worker() as running:
        live.wait_for(job, "succeeded")
        (live.work / "go").touch()
        server(live)
        assert live.wait(live.enqueue("true")) == ["completed"]
        running.kill(SIGTERM)
        assert running.ends().code == 0
    assert alive(server(live))


@pytest.mark.parametrize("how", ["timeout", "cancel", "worker lost"])
def test_kept_processes_are_ended_too_if_the_attempt_was_stopped(live: LiveQueue, how: str) -> None:
    timeout = "2s" if how == "timeout" else None
    job = live.enqueue(
        SERVER.format("sleep 600"), background="keep", timeout=timeout, grace=0.1, max_retries=0
    )
    with live.worker() as running:
        pid = server(live)
        if how == "cancel":
            live.queue.cancel(job)
        if how == "worker lost":
            kill(live.supervisor(running))
        until(lambda: not alive(pid) or None, "the end of the server")
        event = {"timeout": "dead", "cancel": "cancelled", "worker lost": "requeued"}[how]
        assert live.wait_for(job, event)


def test_doctor_does_not_complain_of_kept_processes(live: LiveQueue) -> None:
    live.enqueue(SERVER.format("true"), background="keep")
    live.drain()
    from tests.ctl import Ctl

    ctl = Ctl(live.path.parent)
    assert str(server(live)) not in ctl("doctor", code=None).out


FORKS = """
import os, time
os.setsid()
null = os.open("/dev/null", os.O_RDWR)
for number in range(3):
    os.dup2(null, number)
end = time.monotonic() + 300
open("server", "w").write(str(os.getpid()))
open("up", "w").close()
while time.monotonic() < end and not os.path.exists("stop"):
    if os.fork():
        os._exit(0)
    time.sleep(0.02)
"""
"""A chain: each process forks the next one and ends. It goes on until there is a file `stop`.

It forks no faster than a worker marks its processes: a faster one may be ended with its job.
"""


def test_kept_processes_that_keep_forking_delay_no_other_job(live: LiveQueue) -> None:
    (live.work / "chain.py").write_text(FORKS)
    python = f"{sys.executable} chain.py & until [ -e up ]; do sleep 0.01; done"
    chain = live.enqueue(python, background="keep")
    other = live.enqueue("sleep 60", timeout=1, grace=0.1, max_retries=0)
    try:
        with live.worker():
            assert live.wait(chain, other) == ["completed", "dead"]
            until(lambda: in_folder(live.work) or None, "the chain, which is still forking")
        assert live.wait_for(other, "failed").reason == "timeout"
    finally:
        (live.work / "stop").touch()
    until(lambda: not in_folder(live.work) or None, "the end of the chain")


def test_process_that_marks_itself_as_kept_is_ended(live: LiveQueue) -> None:
    kept = KEPT_FROM + 7
    job = live.enqueue(
        f"prlimit --pid $$ --rttime={kept}:unlimited; env -i sleep 600 & echo $! > server;"
        " env -i sleep 600",
        timeout=2,
        grace=0.1,
        max_retries=0,
    )
    with live.worker():
        pid = server(live)
        assert live.wait(job) == ["dead"]
        assert not alive(pid)


def test_unmarked_process_of_a_running_job_outlives_the_end_of_another(live: LiveQueue) -> None:
    """Its owner is known once only one of the two jobs is running."""
    hidden = (
        "(prlimit --pid $BASHPID --rttime=1000000000:unlimited; exec env -i setsid sh -c"
        f" 'echo $$ > {live.work}/server; exec sleep 600' > /dev/null 2>&1 &) "
    )
    (live.work / "hide").write_text(hidden)
    owner = live.enqueue("bash hide; until [ -e go ]; do sleep 0.01; done")
    with live.worker(slots=2):
        pid = server(live)
        other = live.enqueue("true")
        assert live.wait(other) == ["completed"]
        assert live.wait_for(other, "succeeded").stragglers == 0
        assert alive(pid)
        (live.work / "go").touch()
        assert live.wait_for(owner, "succeeded").straggler_names == ("sleep",)
    assert not alive(pid)
