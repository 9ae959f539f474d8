"""Races: each contestant runs once per round, so that a slower machine affects all of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

Contestant = Callable[[], float]
"""A function that does the work once and returns the seconds that it took."""


class Figure(NamedTuple):
    """The seconds of a contestant, one value per round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The median of all rounds."""
        return median(self.seconds)


def race(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Figure]:
    """Run all contestants in turn, `rounds` times, after one round that is not counted."""
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
    """Return the time of `a` divided by that of `b`: the median of the ratios of all rounds."""
    return median(x / y for x, y in zip(a.seconds, b.seconds, strict=True))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(*argv: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> None:
    """Run a program to its end and discard its output. Raises CalledProcessError."""
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
    """A row of the report."""

    measurement: str
    queuectl: str
    """The result of QueueCTL, with its unit."""
    compared_with: str
    """The result to compare with, and what was measured for it."""
    ratio: str
    target: str
    """The bounds of the ratio or of the result."""


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = ("measurement", "QueueCTL", "compared with", "ratio", "target")
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
