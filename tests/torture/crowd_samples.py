"""Samples of a server and its workers under load: memory, connections, dead rows."""

import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psycopg

GROWTH_MB = 6.0
"""How much a supervisor may grow after the first tenth of the time. Allocators keep free pages."""
DEAD_ROWS = 50_000
"""How many dead rows a table may have at any time.

The server removes them once per minute, and each job changes its row three times: 100 jobs/s leave
20,000 of them per minute.
"""
SAMPLES = 200
"""Samples to take over the whole time, at most one per second."""

DEAD = """
    SELECT relname, n_dead_tup FROM pg_stat_user_tables
     WHERE schemaname = %s AND n_dead_tup > 0"""

# Idle servers have other processes, too.
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


class Sample(NamedTuple):
    """The figures at one time."""

    memory_mb: list[float]
    """Memory that is not a part of a file (RssAnon), of each supervisor."""
    connections: int
    dead: dict[str, int]
    """Number of dead rows by table, if any."""


class Sampler:
    """A thread that takes samples until it is ended."""

    def __init__(
        self, address: str, schema: str, supervisors: Sequence[int], seconds: float
    ) -> None:
        """address: of the server, for libpq. supervisors: pids. seconds: the length of the run."""
        self._address, self._schema, self._supervisors = address, schema, supervisors
        self._pause_s = max(1.0, seconds / SAMPLES)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.samples: list[Sample] = []
        self._thread.start()

    def end(self) -> None:
        """Wait for the end of the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            while not self._ended.wait(self._pause_s):
                self.samples.append(self._sample(connection))

    def _sample(self, connection: psycopg.Connection[tuple[Any, ...]]) -> Sample:
        dead = dict(connection.execute(DEAD, (self._schema,)).fetchall())
        connections = connection.execute(CONNECTIONS).fetchall()[0][0]
        return Sample([_memory_mb(pid) for pid in self._supervisors], connections - 1, dead)

    def findings(self, connections: int) -> list[str]:
        """Return the figures that are out of bounds. connections: the most that are expected."""
        findings = [
            f"supervisor {number} grew from {first_mb:.1f} to {last_mb:.1f} MB"
            for number, (first_mb, last_mb) in enumerate(self._growth())
            if last_mb - first_mb > GROWTH_MB
        ]
        findings += [
            f"table {table} had {amount:,} dead rows"
            for table, amount in self._most_dead().items()
            if amount > DEAD_ROWS
        ]
        if (most := max(sample.connections for sample in self.samples)) > connections:
            findings.append(f"{most} connections instead of {connections} at most")
        return findings

    def note(self) -> str:
        """Return the figures in words."""
        growth = self._growth()
        first_mb = median(first for first, _ in growth)
        last_mb = median(last for _, last in growth)
        most = max(self._most_dead().items(), key=lambda item: item[1], default=("any table", 0))
        connections = max(sample.connections for sample in self.samples)
        return (
            f"supervisors {first_mb:.1f} → {last_mb:.1f} MB (median), "
            f"at most {most[1]:,} dead rows in {most[0]}, {connections} connections"
        )

    def _growth(self) -> list[tuple[float, float]]:
        """Return the memory of each supervisor after the first tenth, and at the end."""
        tenth = max(1, len(self.samples) // 10)
        after, last = self.samples[tenth : 2 * tenth] or self.samples, self.samples[-tenth:]
        return [
            (
                median(sample.memory_mb[number] for sample in after),
                median(sample.memory_mb[number] for sample in last),
            )
            for number in range(len(self._supervisors))
        ]

    def _most_dead(self) -> dict[str, int]:
        most: dict[str, int] = {}
        for sample in self.samples:
            for table, amount in sample.dead.items():
                most[table] = max(amount, most.get(table, 0))
        return most


def _memory_mb(pid: int) -> float:
    """Return RssAnon of a process. Source: proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0
