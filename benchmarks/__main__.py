"""`make bench`: a table of QueueCTL and its peers, each row measured in one run."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from . import contestants as by
from .bulk import bulk
from .growth import growth
from .latency import first_instruction_ms, idle_worker, reclaim_s
from .measure import Contestant, Figure, Row, race, ratio, table
from .replaying import drain_during_replay
from .server import on_server


def main() -> int:
    """Measure and print all rows. Takes some minutes; growth to a million jobs takes ten more."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each race")
    parser.add_argument("--jobs", type=int, default=5000, help="jobs of a drain")
    parser.add_argument("--server-jobs", type=int, default=3000, help="jobs of a drain there")
    parser.add_argument("--lines", type=int, default=200_000, help="jobs of a bulk enqueue")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to watch an idle worker")
    parser.add_argument("--grow", type=int, nargs="*", default=[1_000, 100_000], help="sizes")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        _print("Compared with other programs", _compared(folder, options))
        _print("On a server", on_server(folder, options.rounds, options.server_jobs))
        if options.grow:
            _print("As the queue grows", growth(folder, tuple(options.grow)))
    return 0


def _print(title: str, rows: Iterator[Row]) -> None:
    print(f"\n## {title}\n\n{table(list(rows))}", flush=True)


def _compared(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    yield from _enqueue(folder, options.rounds)
    yield from _loop(folder, options.rounds)
    yield from _drain(folder, options.rounds, options.jobs)
    yield from _sleepers(folder)
    yield from bulk(folder, options.lines)
    yield from _latency(folder, options.idle)
    yield from drain_during_replay(folder)


def _race(peers: dict[str, Contestant | None], rounds: int) -> dict[str, Figure]:
    missing = [name for name, peer in peers.items() if peer is None]
    if missing:
        print(f"not installed and left out: {', '.join(missing)}", file=sys.stderr)
    return race({name: peer for name, peer in peers.items() if peer is not None}, rounds)


def _enqueue(folder: Path, rounds: int) -> Iterator[Row]:
    path = str(folder / "enqueue.db")
    figures = _race(
        {
            "ours": by.one_enqueue(*by.QUEUECTL, "--db", path, "enqueue", "--", "true"),
            "imports": by.imports_only(),
            "spoolctl": by.spoolctl_add(folder),
        },
        rounds * 4,
    )
    ours = figures.pop("ours")
    targets = {"imports": "≤ 1.5", "spoolctl": "≤ 0.67"}
    for name, figure in figures.items():
        yield Row(
            "one enqueue from the shell",
            f"{ours.median_s * 1e3:.0f} ms",
            f"{name} {figure.median_s * 1e3:.0f} ms",
            f"{ratio(ours, figure):.2f} × as long",
            targets[name],
        )


def _loop(folder: Path, rounds: int) -> Iterator[Row]:
    times = 100
    path = str(folder / "enqueue.db")
    ours = by.in_a_loop(times, *by.QUEUECTL, "--db", path, "enqueue", "--", "true")
    figures = _race({"ours": ours, "spoolctl": by.spoolctl_loop(folder, times)}, rounds)
    if peer := figures.get("spoolctl"):
        yield Row(
            f"{times} enqueues in a shell's loop",
            f"{figures['ours'].median_s:.1f} s",
            f"spoolctl {peer.median_s:.1f} s",
            f"{ratio(peer, figures['ours']):.2f} × as fast",
            "≥ 1.5",
        )


def _drain(folder: Path, rounds: int, jobs: int) -> Iterator[Row]:
    slots = 2
    figures = _race(
        {
            "ours": by.queuectl_drain(folder, jobs, slots, "true"),
            "xargs": by.xargs_drain(jobs, slots, "true"),
            "huey": by.huey_drain(folder, jobs, slots, "true"),
            "tsp": by.tsp_drain(folder, jobs, slots, "true"),
        },
        rounds,
    )
    ours = figures.pop("ours")
    targets = {"xargs": "≥ 1.0", "huey": "≥ 1.5", "tsp": ""}
    for name, figure in figures.items():
        yield Row(
            f"drain of {jobs:,} × true, two at a time, synchronous=FULL",
            f"{jobs / ours.median_s:,.0f}/s",
            f"{name} {jobs / figure.median_s:,.0f}/s",
            f"{ratio(figure, ours):.2f} × as fast",
            targets[name],
        )


def _sleepers(folder: Path) -> Iterator[Row]:
    """Measure the time lost between jobs that only sleep. The worker's start is subtracted."""
    jobs, slots, each_s = 800, 8, 0.05
    long = by.queuectl_drain(folder, jobs, slots, f"sleep {each_s}")
    short = by.queuectl_drain(folder, slots, slots, f"sleep {each_s}")
    figures = race({"long": long, "short": short}, 3)
    took = figures["long"].median_s - figures["short"].median_s
    ideal = (jobs - slots) / slots * each_s
    yield Row(
        f"drain of jobs of {each_s * 1e3:.0f} ms, eight at a time",
        f"{(jobs - slots) / took:,.0f}/s",
        f"ideal {(jobs - slots) / ideal:,.0f}/s",
        f"{ideal / took:.2f} of it",
        "≥ 0.97",
    )


def _latency(folder: Path, idle_s: float) -> Iterator[Row]:
    figures = first_instruction_ms(folder, 200)
    yield Row(
        "enqueue acknowledged → first instruction, idle worker",
        f"median {figures.median_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms",
        f"a row committed + a spawn {figures.bare_ms:.1f} ms",
        f"{figures.median_ms / figures.bare_ms:.2f}, {figures.p99_ms / figures.bare_ms:.2f}",
        "≤ 1.5, p99 ≤ 4",
    )
    idle = idle_worker(folder, idle_s)
    yield Row("CPU of an idle worker", f"{idle.cpu_s_per_minute:.3f} s/min", "", "", "≤ 0.01")
    yield Row("memory of an idle worker (PSS)", f"{idle.memory_mb:.0f} MB", "", "", "≤ 45 MB")
    yield Row("kill -9 → claimed again", f"{reclaim_s(folder):.2f} s", "", "", "< 1 s")


if __name__ == "__main__":
    sys.exit(main())
