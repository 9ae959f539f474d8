"""`make bench`: QueueCTL and its peers on the same PostgreSQL server, which syncs each commit."""

import itertools
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from typing import Any

import msgspec
import psycopg

from eventstore.location import create_on_server
from eventstore.postgres.address import quoted
from projections.registry import first_schema
from queuectl.api import Queue
from queuectl.core.requests import Outcome
from queuectl.worker.rounds import Result, Rounds
from tests.hosts import machines, missing_for_hosts
from tests.postgres import Server, installations, running

from .contestants import QUEUECTL, queuectl_drain, xargs_drain
from .latency import worker
from .measure import Contestant, Row, race, ratio, run, timed
from .pickup import Pickups, measure, row

PICKUPS = 100
"""Jobs of which the first instruction is timed."""
ROUND = 20
"""Results and claims in one transaction."""
COPIED = ("events", "jobs", "runs")
"""The tables to which a round adds rows, or whose rows it changes."""

PICKUP = (sys.executable, "-m", "benchmarks.pickup")

_numbers = itertools.count(1)


def on_server(folder: Path, rounds: int, jobs: int) -> Iterator[Row]:
    """Measure on the first installed server; nothing if there is none."""
    name = next(iter(installations()), None)
    if name is None:
        print("not installed and left out: a PostgreSQL server", file=sys.stderr)
        return
    with running(name) as server:
        yield from _drain(folder, server, rounds, jobs)
        yield _rounds(server, rounds, jobs)
        yield _pickup(folder, server)
    yield from _pickup_across_hosts(folder)


def _new_queue(server: Server) -> str:
    """Return the address of a new, empty queue."""
    url = server.url(f"bench{next(_numbers)}")
    create_on_server(url, first_schema)
    return url


def _new_database(server: Server) -> str:
    """Return the address of a new database, for a peer."""
    name = f"peer{next(_numbers)}"
    with _connected(server.database("postgres")) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.database(name)


def _connected(address: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(address, autocommit=True)


def _drain(folder: Path, server: Server, rounds: int, jobs: int) -> Iterator[Row]:
    contestants: dict[str, Contestant] = {
        "ours": partial(_our_drain, server, jobs),
        "procrastinate": partial(_peer_drain, "procrastinate", server, jobs),
        "SKIP LOCKED": partial(_peer_drain, "skip_locked", server, jobs),
        "ours on a file": queuectl_drain(folder, jobs, 2, "true"),
        "xargs": xargs_drain(jobs, 2, "true"),
    }
    figures = race(contestants, rounds)
    ours = figures.pop("ours")
    for name, figure in figures.items():
        yield Row(
            f"on a server: drain of {jobs:,} × `true`, 2 at a time",
            f"{jobs / ours.median_s:,.0f}/s",
            f"{name} {jobs / figure.median_s:,.0f}/s",
            f"{ratio(figure, ours):.2f} × as fast",
            "≥ 3" if name == "procrastinate" else "",
        )


def _our_drain(server: Server, jobs: int) -> float:
    url = _new_queue(server)
    lines = '{"command": "true"}\n' * jobs
    run(*QUEUECTL, "--db", url, "enqueue", "--file", "-", stdin=lines)
    start = ("worker", "start", "--count", "2", "--until-empty")
    return timed(lambda: run(*QUEUECTL, "--db", url, *start))


def _peer_drain(name: str, server: Server, jobs: int) -> float:
    peer = (sys.executable, "-m", f"benchmarks.peers.{name}_peer")
    url = _new_database(server)
    run(*peer, "fill", url, str(jobs), "true")
    if name == "procrastinate":
        return timed(lambda: run(*peer, "drain", url, "2"))
    return timed(lambda: _twice([*peer, "drain", url]))


def _twice(argv: list[str]) -> None:
    """Run the same program in two processes at the same time."""
    processes = [Popen(argv, stdin=DEVNULL, stdout=DEVNULL) for _ in range(2)]
    for process in processes:
        process.wait()


def _rounds(server: Server, rounds: int, jobs: int) -> Row:
    """Compare rounds of a worker with a bare COPY of the rows that each of them writes."""
    took_s, copied_s = [], []
    for _ in range(rounds):
        url = _new_queue(server)
        with Queue(url) as queue:
            queue.enqueue_many({"command": "true"} for _ in range(jobs))
            filled = queue.store.head().position
            took_s.append(timed(partial(_work, queue)))
            events = queue.store.head().position - filled
        copied_s.append(_copy_s(server, url, filled))
    return Row(
        f"on a server: transactions of {ROUND} results and {ROUND} claims",
        f"{events / median(took_s):,.0f} events/s",
        f"COPY of the rows that each of them writes {events / median(copied_s):,.0f} events/s",
        f"{median(map(float.__truediv__, copied_s, took_s)):.2f} × as fast",
        "≥ 0.5",
    )


def _work(queue: Queue) -> None:
    """Claim and finish all jobs as a worker does, without running them."""
    rounds = Rounds(queue, "bench", (), lambda: 0.0, "lease")
    done = Outcome(ended="exit", exit_code=0)
    while True:
        written = rounds.write([1] * ROUND, due=False)
        written.commit()
        if not written.claimed:
            return
        rounds.results = [Result(claim.job, done, None) for claim in written.claimed]


def _copy_s(server: Server, url: str, filled: int) -> float:
    """Return how long it takes to copy the rows of each round, in one transaction per round.

    filled: position of the last event before the rounds.
    """
    schema = url.rpartition("=")[2]
    with _connected(server.database("postgres")) as connection:
        connection.execute(f"SET search_path = {quoted(schema)}".encode())
        batches = connection.execute(
            "SELECT array_agg(position), array_agg(stream) FROM events WHERE position > %s"
            " GROUP BY batch ORDER BY batch",
            (filled,),
        ).fetchall()
        rounds = [_rows_of(connection, positions, streams) for positions, streams in batches]
        connection.execute("CREATE TABLE bare_events (LIKE events INCLUDING INDEXES)")
        connection.execute("CREATE TABLE bare_jobs (LIKE jobs)")
        connection.execute("CREATE TABLE bare_runs (LIKE runs)")
        return timed(partial(_copy_all, connection, rounds))


def _rows_of(
    connection: psycopg.Connection[tuple[Any, ...]], positions: list[int], streams: list[str]
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a round: its events, and the rows of their jobs."""
    born = "SELECT born FROM jobs WHERE id = ANY(%(streams)s)"
    values = {"positions": positions, "streams": streams}
    queries = {
        "events": "SELECT * FROM events WHERE position = ANY(%(positions)s)",
        "jobs": "SELECT * FROM jobs WHERE id = ANY(%(streams)s)",
        "runs": f"SELECT * FROM runs WHERE born IN ({born})",
    }
    return {
        table: connection.execute(sql.encode(), values).fetchall() for table, sql in queries.items()
    }


def _copy_all(
    connection: psycopg.Connection[tuple[Any, ...]],
    rounds: list[dict[str, list[tuple[Any, ...]]]],
) -> None:
    for tables in rounds:
        with connection.transaction(), connection.cursor() as cursor:
            for table, rows in tables.items():
                with cursor.copy(f"COPY bare_{table} FROM STDIN".encode()) as copy:
                    for row in rows:
                        copy.write_row(row)


def _pickup(folder: Path, server: Server) -> Row:
    """Measure from the return of `enqueue` to the first instruction, while the worker is idle."""
    url = _new_queue(server)
    with worker(url):
        pickups = measure(url, server.database("postgres"), folder / "stamp", PICKUPS)
    return row("on a server: enqueued → first instruction, idle", pickups)


def _pickup_across_hosts(folder: Path) -> Iterator[Row]:
    """Measure the same with the worker on another host than the program, and than the server."""
    if (missing := missing_for_hosts()) is not None:
        print(f"left out, pickup across hosts: this machine lacks {missing}", file=sys.stderr)
        return
    with machines(next(iter(installations())), folder, ("here", "there")) as all_:
        here, there = all_.hosts
        create_on_server(all_.server.url("pickup"), first_schema)
        url = all_.url("pickup")
        process = there.start(url, "worker", "start")
        process.says("at a time")
        words = (url, url.partition("?")[0], str(folder / "stamp"), str(PICKUPS))
        result = here.start(url, *words, program=PICKUP).ends()
        process.process.kill()
    pickups = msgspec.json.decode(result.out, type=Pickups)
    yield row("on a server: enqueued on a host → first instruction on another, idle", pickups)
