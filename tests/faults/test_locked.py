"""Another process holds the write lock: it is named, and the worker runs on as far as it can."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pexpect
import pytest

from eventstore.errors import Busy
from eventstore.location import open_store
from eventstore.sqlite.lock_holders import process, writer
from queuectl import Queue
from tests.at_terminal import ended
from tests.ctl import DEADLINE_S, PROGRAM, Ctl, until
from tests.live_queue import LiveQueue

LOCK = """
import sqlite3, signal, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
signal.pause()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says who holds a lock")


@contextmanager
def locked(db: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that holds the write lock of the queue while the block runs."""
    command = [sys.executable, "-c", LOCK, str(db)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        try:
            yield holder
        finally:
            holder.send_signal(SIGCONT)
            holder.kill()


def test_the_holder_of_the_write_lock_is_named(ctl: Ctl) -> None:
    ctl.enqueue("true")
    assert writer(str(ctl.db)) is None
    with locked(ctl.db) as holder:
        writing = writer(str(ctl.db))
        assert writing is not None
        assert writing.pid == holder.pid
        assert "import sqlite3" in writing.command
        assert not writing.stopped
        holder.send_signal(SIGSTOP)
        until(lambda: process(holder.pid).stopped or None, "its stop")
        assert str(writer(str(ctl.db))).endswith(", which is stopped")
    assert writer(str(ctl.db)) is None


def test_who_gives_up_says_who_holds_the_lock(ctl: Ctl) -> None:
    ctl.enqueue("true")
    store = open_store(str(ctl.db))

    def write() -> None:
        with store.write("anna@box", patience_s=0.2):
            pass

    with locked(ctl.db) as holder:
        with pytest.raises(Busy, match=f"was locked for 0.2 s by process {holder.pid} .*try again"):
            write()
        holder.send_signal(SIGSTOP)
        until(lambda: process(holder.pid).stopped or None, "its stop")
        with pytest.raises(Busy, match=f"which is stopped; continue it .kill -CONT {holder.pid}"):
            write()
    store.close()


@pytest.mark.parametrize("words", [["enqueue", "--", "true"], ["cancel", "1"]], ids=" ".join)
def test_a_person_hears_early_who_is_waited_for(ctl: Ctl, words: list[str]) -> None:
    ctl.enqueue("true")
    with locked(ctl.db) as holder:
        screen = pexpect.spawn(
            PROGRAM[0], [*PROGRAM[1:], *words], env=ctl.env, cwd=str(ctl.folder), timeout=DEADLINE_S
        )
        screen.expect(f"waiting for process {holder.pid} ")
        screen.expect("which has locked")
    assert ended(screen) == 0


def test_a_script_hears_it_on_standard_error(ctl: Ctl) -> None:
    ctl.enqueue("true")
    with locked(ctl.db) as holder, ctl.running("enqueue", "--", "true") as waiting:
        waiting.says(f"waiting for process {holder.pid} ")
        holder.kill()
        done = waiting.ends()
    assert (done.code, done.out) == (0, "2")


def test_a_worker_says_who_has_locked_the_queue_and_goes_on_afterwards(ctl: Ctl) -> None:
    job = ctl.enqueue("touch up; until [ -e go ]; do sleep 0.01; done", cwd=str(ctl.folder))
    with ctl.worker("-v") as worker:
        until(lambda: (ctl.folder / "up").exists() or None, "the job")
        with locked(ctl.db) as holder:
            (ctl.folder / "go").touch()
            worker.says(f"waiting for process {holder.pid} ")
        assert ctl("wait", job, "--timeout", "90").code == 0


def test_a_job_that_locks_the_queue_is_ended_at_its_timeout(ctl: Ctl) -> None:
    """The worker has a result to record, and must not wait for the end of that very job."""
    live = LiveQueue(ctl.folder)
    (live.work / "lock.py").write_text(LOCK)
    locking = f"exec {sys.executable} lock.py {live.path} > up"
    holding = live.enqueue(locking, timeout=3, max_retries=0)
    short = live.enqueue("until [ -s up ]; do sleep 0.01; done")
    after = live.enqueue("true")
    with live.worker(slots=2):
        until(lambda: writer(str(live.path)), "the lock")
        assert live.wait(holding, short, after) == ["dead", "completed", "completed"]
    assert live.events(holding)[-1].type == "dead"
    live.queue.close()


def test_what_is_recorded_after_a_wait_has_the_time_of_its_record(ctl: Ctl) -> None:
    """Not the time at which the wait began, before the records of the holder of the lock."""
    ctl.enqueue("true")
    with locked(ctl.db) as holder, ctl.running("enqueue", "--", "true") as waiting:
        waiting.says("waiting for process")
        released_us = time.time_ns() // 1000
        holder.send_signal(SIGKILL)
        assert waiting.ends().code == 0
    with Queue(ctl.place) as queue:
        assert list(queue.events())[-1].recorded_at_us >= released_us
