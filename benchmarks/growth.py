"""Measure how much slower a larger queue is: the same measurements at each size, in one run."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from eventstore.events.job import Usage
from eventstore.verify import verify
from projections.read_models import ready, timers
from queuectl.api import Queue
from queuectl.core.clock import SystemClock
from queuectl.core.replay import replay
from queuectl.core.requests import Claim, ComeDue, Finish, NewJob, Outcome
from queuectl.dashboard.app import create_app

from .contestants import QUEUECTL
from .measure import Row

BATCH = 500
DONE = Outcome(ended="exit", exit_code=0, usage=Usage(duration_us=1_234, cpu_us=999))
LISTS = ("/jobs", "/jobs?state=completed", "/jobs?q=never")
PAGES = ("/", *LISTS, "/jobs/1", "/dlq", "/workers", "/events")
READS = (("status",), ("list",), ("show", "1"))


def build(folder: Path, pending: int, finished: int) -> Path:
    """Create a queue file and return its path. pending, finished: the numbers of such jobs.

    All events are decided and folded as usual.
    """
    path = folder / f"grown-{pending}-{finished}.db"
    with Queue(path) as queue:
        for _ in range(0, finished, BATCH):
            queue.enqueue_many(NewJob(command="true") for _ in range(BATCH))
            _finish(queue, BATCH)
        queue.enqueue_many(NewJob(command="true") for _ in range(pending))
    return path


def _finish(queue: Queue, number: int) -> None:
    """Claim and finish the next `number` jobs in one transaction."""
    with queue.write("bench") as session:
        jobs = ready.next_ready(session.tx, (), number)
        session.assume(jobs)
        at_us = session.at_us
        for job in jobs:
            session.send(Claim(job_id=job.id, worker="bench", slot=1, at_us=at_us))
            session.send(Finish(job_id=job.id, attempt=1, outcome=DONE, jitter=0, at_us=at_us))


def claim_ms(path: Path, times: int = 200) -> float:
    """Return the median milliseconds to claim and finish one job in its own transaction."""
    with Queue(path) as queue:
        return median(_timed_ms(lambda: _finish(queue, 1)) for _ in range(times))


class _Later(SystemClock):
    """A clock that is an hour ahead, so that delayed jobs are due."""

    def wall_us(self) -> int:
        return super().wall_us() + 3_600_000_000


def due_ms(path: Path, number: int = 1_000) -> float:
    """Return the milliseconds to requeue `number` due jobs in one transaction."""
    with Queue(path) as queue:
        queue.enqueue_many(NewJob(command="true", delay_us=60_000_000) for _ in range(number))
    with Queue(path, clock=_Later()) as queue:
        return _timed_ms(lambda: _requeue_due(queue, number))


def _requeue_due(queue: Queue, number: int) -> None:
    with queue.write("timer") as session:
        due = timers.due(session.tx, session.at_us, number)
        assert len(due) == number
        for job_id in due:
            session.send(ComeDue(job_id=job_id, at_us=session.at_us))


def reads_ms(path: Path, words: tuple[str, ...], times: int = 9) -> float:
    """Return the median milliseconds of one command from start to end."""
    argv = (*QUEUECTL, "--db", str(path), *words)
    quiet = subprocess.DEVNULL
    return median(
        _timed_ms(lambda: subprocess.run(argv, stdout=quiet, stderr=quiet, check=True))
        for _ in range(times)
    )


def page_ms(path: Path, address: str, times: int = 15) -> float:
    """Return the median milliseconds to render one page of the dashboard."""
    client = create_app(str(path)).test_client()

    def get() -> int:
        return client.get(address, headers={"Host": "127.0.0.1:5000"}).status_code

    assert get() == 200, address
    return median(_timed_ms(get) for _ in range(times))


def growth(folder: Path, sizes: tuple[int, ...]) -> Iterator[Row]:
    """Compare each measurement at the first size with the same measurement at the other sizes."""
    pending = {size: build(folder, size, 0) for size in sizes}
    finished = {size: build(folder, 2_000, size) for size in sizes}
    first = sizes[0]
    for size in sizes[1:]:
        for state, paths in (("pending", pending), ("finished", finished)):
            large, small = claim_ms(paths[size]), claim_ms(paths[first])
            yield _row(f"claim and finish, {state}", size, large, small, "≤ 1.15")
        large, small = due_ms(pending[size]), due_ms(pending[first])
        yield _row("1,000 delayed jobs falling due, pending", size, large, small, "≤ 1.15")
        for words in READS:
            large, small = reads_ms(finished[size], words), reads_ms(finished[first], words)
            yield _row(" ".join(words), size, large, small, "≤ 1.15")
        for address in PAGES:
            large, small = page_ms(finished[size], address), page_ms(finished[first], address)
            yield _row(f"page {address}", size, large, small, "≤ 1.3, ≤ 50 ms")
    yield from _rates(finished[sizes[-1]])


def _rates(path: Path) -> Iterator[Row]:
    with Queue(path) as queue:
        events = queue.store.head().position
        size = os.path.getsize(path) / (events / 3)
        with queue.store.read() as tx:
            verify_ms = _timed_ms(lambda: verify(tx))
        replay_ms = _timed_ms(lambda: replay(queue.store))
    for command, took_ms, target in (
        ("verify", verify_ms, "≥ 400,000/s"),
        ("replay", replay_ms, "≥ 150,000/s"),
    ):
        rate = f"{events / took_ms * 1e3:,.0f}/s"
        yield Row(f"{command} of {events:,} events", rate, "", "", target)
    yield Row("file size per finished job", f"{size:,.0f} bytes", "", "", "≤ 1,000")


def _row(measurement: str, size: int, large_ms: float, small_ms: float, target: str) -> Row:
    """Return a row of the report. large_ms: at this size. small_ms: at the first size."""
    ratio = f"{large_ms / small_ms:.2f}"
    return Row(
        f"{measurement} at {size:,}", f"{large_ms:.2f} ms", f"{small_ms:.2f} ms", ratio, target
    )


def _timed_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3
