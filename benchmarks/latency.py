"""Measure the time from an enqueue to the job's first instruction, and the cost of idling."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import apsw

from queuectl import Queue

from .contestants import QUEUECTL, until


@contextmanager
def worker(path: str, slots: int = 1) -> Iterator[int]:
    """Run a worker and yield the pid of its keeper, which is the started process."""
    process = subprocess.Popen(
        (*QUEUECTL, "--db", path, "worker", "start", "--count", str(slots)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()  # when it prints its first line, it listens to its doorbell
    try:
        yield process.pid
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait()
        process.stderr.close()


class Latency(NamedTuple):
    """Milliseconds from the return of `enqueue` until the job reads the clock."""

    median_ms: float
    p99_ms: float
    bare_ms: float
    """Median of a commit of one row by SQLite and a start of the same shell, in the same run."""


def first_instruction_ms(folder: Path, times: int) -> Latency:
    """Enqueue jobs that write the time to a file, each while the worker is idle."""
    path, stamp = str(folder / "latency.db"), folder / "stamp"
    took, bare = [], []
    row = apsw.Connection(str(folder / "bare-row.db"))
    row.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a)").fetchall()
    with Queue(path) as queue, worker(path):
        for _ in range(times):
            stamp.unlink(missing_ok=True)
            job = queue.enqueue(f"date +%s%N > {stamp}")
            acknowledged = time.time_ns()
            queue.wait(job.id)
            took.append((int(stamp.read_text()) - acknowledged) / 1e6)
            began = time.time_ns()
            row.execute("INSERT INTO t VALUES (1)").fetchall()
            subprocess.run(["sh", "-c", f"date +%s%N > {stamp}"], check=True)
            bare.append((int(stamp.read_text()) - began) / 1e6)
    row.close()
    return Latency(median(took), quantiles(took, n=100)[-1], median(bare))


class Idle(NamedTuple):
    """The resources that the two processes of an idle worker use."""

    cpu_s_per_minute: float
    memory_mb: float
    """Proportional set size: a page that n processes share counts as 1/n of a page."""


def idle_worker(folder: Path, seconds: float) -> Idle:
    """Measure an idle worker that has already run a job. seconds: how long to measure it."""
    path = str(folder / "idle.db")
    with Queue(path) as queue, worker(path) as keeper:
        queue.wait(queue.enqueue("true").id)
        before = _used_s(keeper)
        time.sleep(seconds)
        used = (_used_s(keeper) - before) * 60 / seconds
        return Idle(used, _memory_mb(keeper) + _memory_mb(_supervisor(keeper)))


def _memory_mb(pid: int) -> float:
    """Return the proportional set size in MB. Source: proc(5), smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def reclaim_s(folder: Path) -> float:
    """Return the seconds from kill -9 of a supervisor until its job is claimed again."""
    path = str(folder / "reclaim.db")
    with Queue(path) as queue, worker(path) as keeper:
        job = queue.enqueue("sleep 600")
        until(lambda: queue.get(job.id).state == "processing")
        os.kill(_supervisor(keeper), signal.SIGKILL)
        killed = time.perf_counter()
        until(lambda: queue.get(job.id).attempt == 2)
        took = time.perf_counter() - killed
        queue.cancel(job.id)
        queue.wait(job.id)
    return took


def _used_s(keeper: int) -> float:
    """Return the CPU seconds of both processes. Source: proc_pid_stat(5), fields 14 and 15."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in (keeper, _supervisor(keeper)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / tick


def _supervisor(keeper: int) -> int:
    return int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])
