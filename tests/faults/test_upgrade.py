"""The program is upgraded or removed while a worker runs."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ctl import Running, until
from tests.live_queue import LiveQueue, kill

ROOT = Path(__file__).parents[2]


def install(program: Path) -> None:
    """A folder from which Python can import queuectl and the libraries that it uses."""
    program.mkdir()
    libraries = Path(sysconfig.get_paths()["purelib"]).iterdir()
    for entry in (*libraries, *(ROOT / name for name in ("eventstore", "projections", "queuectl"))):
        (program / entry.name).symlink_to(entry)


@contextmanager
def worker_of(program: Path, live: LiveQueue) -> Iterator[Running]:
    """A worker run from that folder alone; it prints a line for each module that it imports."""
    python = (sys.executable, "-S", "-X", "importtime", "-m", "queuectl")
    process = subprocess.Popen(
        [*python, "--db", live.place, "worker", "start", "-v", "--count", "4"],
        cwd=live.work,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(program)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Running(process)
    try:
        yield running
    finally:
        running.end()


def imported_after(running: Running, greeting: str) -> list[str]:
    lines = running.err[running.err.index(greeting) + 1 :]
    return [line for line in lines if line.startswith("import time:")]


def test_worker_whose_program_was_removed_runs_on_and_can_restart(
    live: LiveQueue, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    install(program)
    with worker_of(program, live) as running:
        greeting = running.says("SIGTERM or SIGINT")
        shutil.rmtree(program)
        for lifetime in ("first", "second"):
            retried = live.enqueue(
                f"test -e {lifetime} || ! touch {lifetime}", backoff_base=0.1, max_retries=1
            )
            delayed = live.enqueue("true", delay="200ms")
            long = live.enqueue("head -c 300000 /dev/zero; echo '\ufffd'")
            timed_out = live.enqueue("sleep 60", timeout="200ms", grace="100ms", max_retries=0)
            missing = live.enqueue("no-such-program", max_retries=0)
            cancelled = live.enqueue("sleep 60")
            live.wait_for(cancelled, "claimed")
            live.queue.cancel(cancelled)
            ended = live.wait(retried, delayed, long, timed_out, missing, cancelled)
            assert ended == ["completed"] * 3 + ["dead"] * 2 + ["cancelled"]
            if lifetime == "first":
                lost = live.enqueue("test -e started || { touch started; sleep 60; }")
                until(lambda: (live.work / "started").exists() or None, "the job")
                kill(live.supervisor(running))
                assert live.wait(lost) == ["completed"]
        running.kill()
        assert running.ends().code == 0
    assert imported_after(running, greeting) == []
