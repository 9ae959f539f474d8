"""Time from an enqueue to the first instruction of the job, compared with what it needs at least.

`python -m benchmarks.pickup URL DATABASE STAMP TIMES` measures and prints `Pickups` as JSON.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import msgspec
import psycopg

from projections.folds.job import FINAL
from queuectl.api import Queue

from .measure import Row

LOOK_EVERY_S = 0.05
"""So the first look usually finds that the job has ended."""


class Pickups(msgspec.Struct):
    """Milliseconds, in the order of the measurements."""

    took_ms: list[float]
    """From the return of `enqueue` to the first instruction."""
    bare_ms: list[float]
    """Two round trips to the server, a commit that it syncs, and the start of a shell."""


def row(measurement: str, pickups: Pickups) -> Row:
    """Return the row of the report."""
    took, bare = _figures(pickups.took_ms), _figures(pickups.bare_ms)
    return Row(
        measurement,
        f"median {took[0]:.1f} ms, p99 {took[1]:.1f} ms",
        "two round trips, a commit and the start of a shell:"
        f" median {bare[0]:.1f} ms, p99 {bare[1]:.1f} ms",
        f"{took[0] / bare[0]:.2f}, {took[1] / bare[1]:.2f} × as long",
        "≤ 2",
    )


def _figures(times_ms: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile."""
    return median(times_ms), quantiles(times_ms, n=100)[-1]


def measure(url: str, database: str, stamp: Path, times: int) -> Pickups:
    """Enqueue jobs one after the other, while a worker is idle. The floor is measured in turns.

    url: of the queue. database: of the same server, where a table is created.
    """
    pickups = Pickups([], [])
    with Queue(url) as queue, psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (n BIGINT)")
        for _ in range(times):
            stamp.unlink(missing_ok=True)
            job = queue.enqueue(f"date +%s%N > {stamp}")
            acknowledged_ns = time.time_ns()
            while queue.get(job.id).state not in FINAL:
                time.sleep(LOOK_EVERY_S)  # a program that waits would run at the same time
            pickups.took_ms.append((int(stamp.read_text()) - acknowledged_ns) / 1e6)
            pickups.bare_ms.append(_since(partial(_trips, connection, stamp), stamp))
    return pickups


def _trips(connection: psycopg.Connection[tuple[Any, ...]], stamp: Path) -> None:
    for _ in range(2):
        connection.execute("SELECT 1").fetchall()
    connection.execute("INSERT INTO bare VALUES (1)")
    subprocess.run(["sh", "-c", f"date +%s%N > {stamp}"], check=True)


def _since(work: Callable[[], None], stamp: Path) -> float:
    """Return the milliseconds from now to the time that `work` writes into the file."""
    began_ns = time.time_ns()
    work()
    return (int(stamp.read_text()) - began_ns) / 1e6


def main() -> None:
    """Measure, and print the figures."""
    url, database, stamp, times = sys.argv[1:]
    print(msgspec.json.encode(measure(url, database, Path(stamp), int(times))).decode())


if __name__ == "__main__":
    main()
