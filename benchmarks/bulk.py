"""Measure enqueuing many jobs at once and one by one, compared with the same rows in SQLite."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen

import apsw

from queuectl.api import Queue

from .contestants import QUEUECTL, spoolctl_fill
from .measure import Row

COPIED = ("events", "jobs", "tags", "counts", "sequence", "throughput")
"""The tables that an enqueue writes to."""


def bulk(folder: Path, lines: int) -> Iterator[Row]:
    """Measure jobs from stdin in one transaction, and single jobs in their own transactions.

    lines: the number of jobs on stdin.
    """
    path, source = folder / "bulk.db", folder / "bulk.jsonl"
    source.write_text('{"command":"true"}\n' * lines)
    took_s, memory_mb = _enqueue(path, source)
    bare_s = _bare(path, folder / "bare.db")
    yield Row(
        f"bulk enqueue of {lines:,} JSON Lines from stdin, {memory_mb:.0f} MB",
        f"{lines / took_s:,.0f}/s",
        f"the same rows by SQLite alone {lines / bare_s:,.0f}/s",
        f"{bare_s / took_s:.2f} × as fast",
        "≥ 50,000/s or ≥ 0.5; < 150 MB",
    )
    yield from _compared_with_spoolctl(folder, lines, lines / took_s)
    ours_s, row_s = _singles(folder)
    yield Row(
        "Queue.enqueue in Python, one commit each",
        f"{1 / ours_s:,.0f}/s",
        f"a bare one-row commit {1 / row_s:,.0f}/s",
        f"{row_s / ours_s:.2f} × as fast",
        "≥ 0.8",
    )


def _compared_with_spoolctl(folder: Path, lines: int, ours_a_second: float) -> Iterator[Row]:
    jobs = min(lines, 20_000)
    if fill := spoolctl_fill(folder, jobs):
        theirs_a_second = jobs / fill()
        yield Row(
            f"bulk enqueue, spoolctl by its Python functions ({jobs:,} jobs, no fsync)",
            f"{ours_a_second:,.0f}/s",
            f"spoolctl {theirs_a_second:,.0f}/s",
            f"{ours_a_second / theirs_a_second:.1f} × as fast",
            "≥ 3",
        )


def _enqueue(path: Path, source: Path) -> tuple[float, float]:
    """Enqueue the file. Return the seconds, and the peak memory of the process in megabytes."""
    with source.open("rb") as stdin:
        began = time.perf_counter()
        argv = (*QUEUECTL, "--db", str(path), "enqueue", "--file", "-")
        child = Popen(argv, stdin=stdin, stdout=DEVNULL, stderr=DEVNULL)
        assert child.wait() == 0
        took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return took, peak / (1024 if sys.platform != "darwin" else 1024 * 1024)


def _bare(full: Path, empty: Path) -> float:
    """Return the seconds to insert the same rows, with indexes and triggers, in one commit."""
    Queue(empty).close()
    source = apsw.Connection(str(full), apsw.SQLITE_OPEN_READONLY)
    target = apsw.Connection(str(empty))
    target.execute("PRAGMA synchronous=FULL")
    rows = {table: list(source.execute(f"SELECT * FROM {table}")) for table in COPIED}
    began = time.perf_counter()
    with target:
        for table, copied in rows.items():
            if copied:
                columns = _stored(source, table)
                kept = [tuple(row[: len(columns)]) for row in copied]
                marks = ", ".join("?" for _ in columns)
                names = ", ".join(columns)
                target.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", kept)
    took = time.perf_counter() - began
    for connection in (source, target):
        connection.close()
    return took


def _stored(connection: apsw.Connection, table: str) -> list[str]:
    """Return the columns that are not generated; generated ones are the last of a table."""
    rows = connection.execute(f"PRAGMA table_xinfo({table})")
    return [str(row[1]) for row in rows if row[6] == 0]


def _singles(folder: Path, times: int = 300) -> tuple[float, float]:
    """Return the mean seconds of `Queue.enqueue`, and of a commit of one row by SQLite alone."""
    bare = apsw.Connection(str(folder / "row.db"))
    bare.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").fetchall()
    bare.execute("CREATE TABLE t (a)")
    with Queue(folder / "singles.db") as queue:
        ours = theirs = 0.0
        for _ in range(times):
            ours += _timed(lambda: queue.enqueue("true"))
            theirs += _timed(lambda: bare.execute("INSERT INTO t VALUES ('true')"))
    bare.close()
    return ours / times, theirs / times


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
