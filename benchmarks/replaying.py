"""What workers lose while the read models are rebuilt beside them."""

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


def beside_a_replay(folder: Path, finished: int = 50_000) -> Iterator[Row]:
    """Short sleeps, which leave the processor to the replay, with it and without."""
    path = str(build(folder, 0, finished))

    def alone() -> float:
        run(*QUEUECTL, "--db", path, "enqueue", "--file", "-", stdin=LINES)
        worker = ("worker", "start", "--count", str(SLOTS), "--until-empty")
        return timed(lambda: run(*QUEUECTL, "--db", path, *worker))

    def beside() -> float:
        with _replaying(path):
            return alone()

    found = race({"alone": alone, "beside": beside}, 3)
    yield Row(
        f"drain of jobs of {EACH_S * 1e3:.0f} ms, two at a time, beside replay after replay",
        f"{JOBS / found['beside'].median_s:.0f}/s",
        f"without {JOBS / found['alone'].median_s:.0f}/s",
        f"{ratio(found['alone'], found['beside']):.2f} × as fast",
        "≥ 0.8",
    )


@contextmanager
def _replaying(path: str) -> Iterator[None]:
    """One replay after the other for the length of the block."""
    script = 'while "$@"; do :; done'
    argv = ("sh", "-c", script, "sh", *QUEUECTL, "--db", path, "replay")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=quiet, stderr=quiet, process_group=0) as replays:
        try:
            yield
        finally:
            os.killpg(replays.pid, signal.SIGTERM)
