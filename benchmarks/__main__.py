"""`make bench`: a table of QueueCTL beside its peers, each row measured in one run."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from .contestants import (
    QUEUECTL,
    imports_only,
    one_enqueue,
    queuectl_drain,
    spoolctl_add,
    xargs_drain,
)
from .latency import first_instruction_ms, idle_cpu_s, reclaim_s
from .measure import Row, race, ratio, table


def main() -> int:
    """Measure and print. Takes some minutes."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each race")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs of a drain")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to watch an idle worker")
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *_enqueue(folder, asked.rounds),
            *_drain(folder, asked.rounds, asked.jobs),
            *_latency(folder, asked.idle),
        ]
    print(table(rows))
    return 0


def _enqueue(folder: Path, rounds: int) -> Iterator[Row]:
    path = str(folder / "enqueue.db")
    contestants = {
        "ours": one_enqueue(*QUEUECTL, "--db", path, "enqueue", "--", "true"),
        "imports": imports_only(),
    }
    if spool := spoolctl_add(folder):
        contestants["spoolctl"] = spool
    else:
        print("spoolctl is not installed and left out", file=sys.stderr)
    found = race(contestants, rounds * 3)
    ours = found.pop("ours")
    wanted = {"imports": "≤ 2.2", "spoolctl": "< 1"}
    for name, figure in found.items():
        yield Row(
            "one enqueue from the shell",
            f"{ours.median_s * 1e3:.0f} ms",
            f"{name} {figure.median_s * 1e3:.0f} ms",
            f"{ratio(ours, figure):.2f}",
            wanted[name],
        )


def _drain(folder: Path, rounds: int, jobs: int) -> Iterator[Row]:
    found = race(
        {
            "ours": queuectl_drain(folder, jobs, 2, "true"),
            "xargs": xargs_drain(jobs, 2, "true"),
        },
        rounds,
    )
    ours, xargs = found["ours"], found["xargs"]
    yield Row(
        f"drain of {jobs:,} × true, two at a time, synchronous=FULL",
        f"{jobs / ours.median_s:,.0f}/s",
        f"xargs {jobs / xargs.median_s:,.0f}/s",
        f"{ratio(xargs, ours):.2f}",
        "≥ 0.6",
    )


def _latency(folder: Path, idle_s: float) -> Iterator[Row]:
    middle, slow = first_instruction_ms(folder, 200)
    yield Row(
        "enqueue acknowledged → first instruction, idle worker",
        f"median {middle:.1f} ms, p99 {slow:.1f} ms",
        "",
        "",
        "median < 10 ms",
    )
    yield Row("CPU of an idle worker", f"{idle_cpu_s(folder, idle_s):.3f} s/min", "", "", "< 0.05")
    yield Row("kill -9 → claimed again", f"{reclaim_s(folder):.2f} s", "", "", "< 1 s")


if __name__ == "__main__":
    sys.exit(main())
