"""Interleaved rounds: each contestant once a round, for a machine that drifts drifts for all."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

Contestant = Callable[[], float]
"""Does the work once and returns the seconds that it took."""


class Figure(NamedTuple):
    """Seconds, a round each."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The middle of the rounds."""
        return median(self.seconds)


def race(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Figure]:
    """Let them take turns for so many rounds, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            took = contestant()
            if number:
                seconds[name].append(took)
            _progress(f"round {number} of {rounds}: {name} {took:.3f} s")
    _progress("")
    return {name: Figure(name, tuple(times)) for name, times in seconds.items()}


def ratio(a: Figure, b: Figure) -> float:
    """How many times as long as `b` `a` took: the median over the rounds, pair by pair."""
    return median(x / y for x, y in zip(a.seconds, b.seconds, strict=True))


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(*argv: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> None:
    """Run a program to its end, its output thrown away. Raises CalledProcessError."""
    subprocess.run(
        argv,
        env={**os.environ, **(env or {})},
        stdin=None if stdin else subprocess.DEVNULL,
        input=stdin.encode() if stdin else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Row(NamedTuple):
    """A line of the report."""

    what: str
    ours: str
    beside: str
    ratio: str
    wanted: str


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    head = ("measurement", "QueueCTL", "compared with", "ratio", "target")
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
