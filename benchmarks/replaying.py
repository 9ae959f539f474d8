"""Measure the speed of workers while the read models are rebuilt."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .contestants import QUEUECTL
from .growth import build
from .measure import Row, race, ratio, run, timed

JOBS, SLOTS, EACH_S = 300, 2, 0.02
LINES = f'{{"command": "sleep {EACH_S}"}}\n' * JOBS


def drain_during_replay(folder: Path, finished: int = 50_000) -> Iterator[Row]:
    """Measure a drain of jobs that only sleep, alone and during replays.

    While a job sleeps, the replay can use the processor.
    """
    path = str(build(folder, 0, finished))

    def alone() -> float:
        run(*QUEUECTL, "--db", path, "enqueue", "--file", "-", stdin=LINES)
        worker = ("worker", "start", "--count", str(SLOTS), "--until-empty")
        return timed(lambda: run(*QUEUECTL, "--db", path, *worker))

    def during_replay() -> float:
        with _replaying(path):
            return alone()

    figures = race({"alone": alone, "during replay": during_replay}, 3)
    yield Row(
        f"drain of jobs of {EACH_S * 1e3:.0f} ms, two at a time, during continuous replays",
        f"{JOBS / figures['during replay'].median_s:.0f}/s",
        f"without {JOBS / figures['alone'].median_s:.0f}/s",
        f"{ratio(figures['alone'], figures['during replay']):.2f} × as fast",
        "≥ 0.8",
    )


@contextmanager
def _replaying(path: str) -> Iterator[None]:
    """Run one replay after the other while the block runs."""
    script = 'while "$@"; do :; done'
    argv = ("sh", "-c", script, "sh", *QUEUECTL, "--db", path, "replay")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=quiet, stderr=quiet, process_group=0) as replays:
        try:
            yield
        finally:
            os.killpg(replays.pid, signal.SIGTERM)
