"""The same work by QueueCTL and by similar programs. Each function returns a Contestant.

It returns None if the program is not installed.
"""

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .measure import Contestant, run, timed

PROGRAMS = Path(sys.executable).parent
QUEUECTL = (str(PROGRAMS / "queuectl"),)


def queuectl_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant:
    """Run a worker over jobs that are already pending: durable, with all events."""

    def drain() -> float:
        path = _fresh(folder, "queuectl")
        lines = f'{{"command": "{command}"}}\n' * jobs
        run(*QUEUECTL, "--db", path, "enqueue", "--file", "-", stdin=lines)
        worker = ("worker", "start", "--count", str(slots), "--until-empty")
        return timed(lambda: run(*QUEUECTL, "--db", path, *worker))

    return drain


def xargs_drain(jobs: int, slots: int, command: str) -> Contestant:
    """Only launch processes: xargs records no results and does not survive a crash."""
    numbers = "\n".join(str(n) for n in range(jobs))
    argv = ("xargs", f"-P{slots}", "-n1", "sh", "-c", command)
    return lambda: timed(lambda: run(*argv, stdin=numbers))


def huey_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant | None:
    """Run huey on SQLite: durable, one shell per task."""
    if not _importable("huey"):
        return None
    peer = (sys.executable, "-m", "benchmarks.peers.huey_peer")

    def drain() -> float:
        path = _fresh(folder, "huey")
        run(*peer, "fill", path, str(jobs), command)
        return timed(lambda: run(*peer, "drain", path, str(jobs), str(slots)))

    return drain


def tsp_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant | None:
    """Run task-spooler, in memory. It has no bulk enqueue, so enqueueing is part of its time."""
    tsp = shutil.which("tsp")
    if tsp is None:
        return None
    env = {"TS_SOCKET": str(folder / "tsp"), "TS_SLOTS": str(slots)}
    script = f"for n in $(seq {jobs}); do {tsp} -n sh -c '{command}' >/dev/null; done; {tsp} -w"

    def drain() -> float:
        seconds = timed(lambda: run("sh", "-c", script, env=env))
        run(tsp, "-K", env=env)
        return seconds

    return drain


def one_enqueue(*argv: str) -> Contestant:
    """Run one command from start to end."""
    return lambda: timed(lambda: run(*argv))


def imports_only() -> Contestant:
    """Start Python and import the libraries, nothing else."""
    return one_enqueue(sys.executable, "-c", "import click, msgspec, apsw")


def spoolctl_add(folder: Path) -> Contestant | None:
    """Enqueue one job by spoolctl."""
    spoolctl = _program("spoolctl")
    if spoolctl is None:
        return None
    return one_enqueue(*_spoolctl_add(spoolctl, folder))


def spoolctl_loop(folder: Path, times: int) -> Contestant | None:
    """Enqueue jobs by spoolctl from a shell, one after the other."""
    spoolctl = _program("spoolctl")
    return None if spoolctl is None else in_a_loop(times, *_spoolctl_add(spoolctl, folder))


def _spoolctl_add(spoolctl: str, folder: Path) -> tuple[str, ...]:
    return (spoolctl, "add", "--db", str(folder / "spool.db"), "--", "true")


def in_a_loop(times: int, *argv: str) -> Contestant:
    """Run the same command from a shell many times, one after the other."""
    script = 'n=$0; while [ "$n" -gt 0 ]; do "$@" >/dev/null; n=$((n - 1)); done'
    return lambda: timed(lambda: run("sh", "-c", script, str(times), *argv))


def spoolctl_fill(folder: Path, jobs: int) -> Contestant | None:
    """Enqueue many jobs by spoolctl's Python functions, without a process for each."""
    if not _importable("spoolctl"):
        return None
    peer = (sys.executable, "-m", "benchmarks.peers.spoolctl_peer")

    def fill() -> float:
        path = _fresh(folder, "spoolctl")
        return timed(lambda: run(*peer, path, str(jobs)))

    return fill


def until(condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Wait until `condition` returns true. Raises TimeoutError."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the measured event did not happen")
        time.sleep(0.0005)


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _program(name: str) -> str | None:
    program = PROGRAMS / name
    return str(program) if program.exists() else shutil.which(name)


def _fresh(folder: Path, name: str) -> str:
    """Return the path of a queue in a new, empty folder."""
    fresh = folder / name
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    return os.path.join(fresh, "queue.db")
