"""Threads that enqueue jobs of all kinds, each after its last ones have ended. Run on a host.

`python -m tests.torture.crowd_enqueuers SECONDS SEED THREADS FOLDER` prints a `Report` as JSON. The
jobs write their begin and end into files in the folder.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from projections.folds.job import FINAL, Job, State
from queuectl.api import Queue

BATCH = 3
"""The most jobs that a thread has in the queue."""
QUEUES = ("default", "mail")
PAUSES_S = (0.05, 0.1, 0.2, 0.4)
"""The pauses between two looks at a job; the last one is repeated."""
LATEST_S = 300
"""A job that has not ended after this time is stuck."""

MARKED = """
mark() {{ echo "$1 $QUEUECTL_JOB $QUEUECTL_ATTEMPT" >> {file}; }}
mark begin; {command}; code=$?; mark end; exit $code"""


class Kind(NamedTuple):
    """A kind of jobs."""

    weight: int
    """How often it is chosen."""
    command: str
    ends_as: State = "completed"
    retries: int = 3


KINDS = (
    Kind(40, "true"),
    Kind(15, "date +%s%N > {stamp}"),
    Kind(15, "sleep 0.05"),
    Kind(15, "seq 1000"),  # 4 kB: kept with the result
    Kind(1, "seq 20000"),  # 110 kB: sent in pieces
    Kind(5, '[ "$QUEUECTL_ATTEMPT" -gt 1 ]', retries=1),
    Kind(5, "(exit 3)", "dead", retries=1),
)


class Report(msgspec.Struct):
    """What a process has enqueued."""

    jobs: int = 0
    waits_ms: list[float] = []
    """From the return of `enqueue` to the first instruction."""
    findings: list[str] = []


class Enqueuer:
    """One thread, with a queue of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._random, self._folder = Random(seed), folder
        self._marks, self._stamp = folder / f"marks-{seed}", folder / f"stamp-{seed}"
        self._waits = seed % 4 == 0
        """A quarter waits for the jobs; the others look again and again."""
        self.report = Report()

    def run(self, seconds: float) -> None:
        """Enqueue until the time is over."""
        end_s = time.monotonic() + seconds
        with Queue() as queue:
            while time.monotonic() < end_s:
                kinds = self._random.choices(
                    KINDS, [kind.weight for kind in KINDS], k=self._random.randint(1, BATCH)
                )
                self._round(queue, kinds)

    def _round(self, queue: Queue, kinds: Sequence[Kind]) -> None:
        """Enqueue these jobs, wait for their ends and judge them."""
        self._stamp.unlink(missing_ok=True)
        if len(kinds) == 1:
            ids = [queue.enqueue(self._command(kinds[0]), **self._options(kinds[0])).id]
        else:
            ids = queue.enqueue_many(
                {"command": self._command(kind), **self._options(kind)} for kind in kinds
            )
        enqueued_ns = time.time_ns()
        self.report.jobs += len(ids)
        ended = queue.wait(*ids, timeout_s=LATEST_S) if self._waits else list(_polled(queue, ids))
        self.report.findings += [
            f"job {job.id} ({kind.command}) is {job.state}"
            for kind, job in zip(kinds, ended, strict=True)
            if job.state != kind.ends_as
        ]
        if self._stamp.exists() and (stamps := self._stamp.read_text().split()):
            self.report.waits_ms.append((int(stamps[0]) - enqueued_ns) / 1e6)

    def _command(self, kind: Kind) -> str:
        return MARKED.format(file=self._marks, command=kind.command.format(stamp=self._stamp))

    def _options(self, kind: Kind) -> dict[str, Any]:
        return {
            "queue": self._random.choice(QUEUES),
            "priority": self._random.choice((0, 0, 0, 5, -5)),
            "max_retries": kind.retries,
            "backoff_base": 1,
        }


def _polled(queue: Queue, ids: Sequence[str]) -> Iterator[Job]:
    """Yield the jobs as they are when they have ended, or after `LATEST_S`."""
    end_s, looks = time.monotonic() + LATEST_S, 0
    for job_id in ids:
        while (job := queue.get(job_id)).state not in FINAL and time.monotonic() < end_s:
            time.sleep(PAUSES_S[min(looks, len(PAUSES_S) - 1)])
            looks += 1
        yield job


def main() -> None:
    """Run the threads, and print the report of all."""
    seconds, seed, threads, folder = sys.argv[1:]
    enqueuers = [
        Enqueuer(int(seed) * int(threads) + number, Path(folder)) for number in range(int(threads))
    ]
    with ThreadPoolExecutor(len(enqueuers)) as pool:
        list(pool.map(lambda enqueuer: enqueuer.run(float(seconds)), enqueuers))
    reports = [enqueuer.report for enqueuer in enqueuers]
    total = Report(
        sum(report.jobs for report in reports),
        [wait_ms for report in reports for wait_ms in report.waits_ms],
        [line for report in reports for line in report.findings],
    )
    print(msgspec.json.encode(total).decode(), flush=True)


if __name__ == "__main__":
    main()
