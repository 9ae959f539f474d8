"""The same work by QueueCTL and by its peers; one that is not installed is left out."""

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .measure import Contestant, run, timed

BESIDE = Path(sys.executable).parent
QUEUECTL = (str(BESIDE / "queuectl"),)


def queuectl_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant:
    """A worker's whole life over jobs that wait already: durable, all events written."""

    def drain() -> float:
        path = _fresh(folder, "queuectl")
        lines = f'{{"command": "{command}"}}\n' * jobs
        run(*QUEUECTL, "--db", path, "enqueue", "--file", "-", stdin=lines)
        worker = ("worker", "start", "--count", str(slots), "--until-empty")
        return timed(lambda: run(*QUEUECTL, "--db", path, *worker))

    return drain


def xargs_drain(jobs: int, slots: int, command: str) -> Contestant:
    """Records nothing, survives nothing: what launching costs."""
    numbers = "\n".join(str(n) for n in range(jobs))
    argv = ("xargs", f"-P{slots}", "-n1", "sh", "-c", command)
    return lambda: timed(lambda: run(*argv, stdin=numbers))


def huey_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant | None:
    """huey on SQLite, durable, a shell a task."""
    if not _importable("huey"):
        return None
    peer = (sys.executable, "-m", "benchmarks.peers.huey_peer")

    def drain() -> float:
        path = _fresh(folder, "huey")
        run(*peer, "fill", path, str(jobs), command)
        return timed(lambda: run(*peer, "drain", path, str(jobs), str(slots)))

    return drain


def tsp_drain(folder: Path, jobs: int, slots: int, command: str) -> Contestant | None:
    """task-spooler, in memory. It has no bulk enqueue, so enqueueing is part of its time."""
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
    """One command, start to end."""
    return lambda: timed(lambda: run(*argv))


def imports_only() -> Contestant:
    """What Python and the libraries cost before anything is done."""
    return one_enqueue(sys.executable, "-c", "import click, msgspec, apsw")


def spoolctl_add(folder: Path) -> Contestant | None:
    """One job by spoolctl."""
    spoolctl = _program("spoolctl")
    if spoolctl is None:
        return None
    return one_enqueue(*_spoolctl_add(spoolctl, folder))


def spoolctl_loop(folder: Path, times: int) -> Contestant | None:
    """The same from a shell, one after the other."""
    spoolctl = _program("spoolctl")
    return None if spoolctl is None else in_a_loop(times, *_spoolctl_add(spoolctl, folder))


def _spoolctl_add(spoolctl: str, folder: Path) -> tuple[str, ...]:
    return (spoolctl, "add", "--db", str(folder / "spool.db"), "--", "true")


def in_a_loop(times: int, *argv: str) -> Contestant:
    """The same command from a shell, one after the other."""
    script = 'n=$0; while [ "$n" -gt 0 ]; do "$@" >/dev/null; n=$((n - 1)); done'
    return lambda: timed(lambda: run("sh", "-c", script, str(times), *argv))


def spoolctl_fill(folder: Path, jobs: int) -> Contestant | None:
    """Many jobs by spoolctl's own functions, without a process for each."""
    if not _importable("spoolctl"):
        return None
    peer = (sys.executable, "-m", "benchmarks.peers.spoolctl_peer")

    def fill() -> float:
        path = _fresh(folder, "spoolctl")
        return timed(lambda: run(*peer, path, str(jobs)))

    return fill


def until(look: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Wait until `look` is true."""
    end = time.monotonic() + deadline_s
    while not look():
        if time.monotonic() > end:
            raise TimeoutError("what was measured did not happen")
        time.sleep(0.0005)


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _program(name: str) -> str | None:
    beside = BESIDE / name
    return str(beside) if beside.exists() else shutil.which(name)


def _fresh(folder: Path, name: str) -> str:
    """A path where nothing stands."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return os.path.join(place, "queue.db")
