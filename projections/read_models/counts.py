"""The number of jobs per queue and state, and of their runs per outcome."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventstore.store import Reader
from eventstore.tables import HOT, ColumnType, Table, Write

from ..folds.job import STATES, Job, State
from ..read_model import Change, ReadModel

# One row per queue and one column per state: an append changes only one row, and the rows do not
# depend on how a rebuild divides the log into slices.
_NUMBERS = (*STATES, "total_jobs", "success_runs", "failed_runs")

_COLUMNS: dict[str, ColumnType] = {"queue": "text", **dict.fromkeys(_NUMBERS, "integer")}

TABLE = Table("counts", _COLUMNS, key=("queue",), on_server=HOT)

MOVE = TABLE.add()

# Reads one row per queue.
ALL = f"SELECT {TABLE.listed} FROM counts ORDER BY queue"


class Counts(NamedTuple):
    """Numbers of jobs by state, and totals of jobs and runs."""

    states: dict[State, int]
    total_jobs: int
    success_runs: int
    failed_runs: int
    """Attempts that failed and used up a retry. A lost or stopped worker does not count."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Subtract 1 from each job's previous state and add 1 to its new one, summed per queue."""
    queues: dict[str, dict[str, int]] = {}
    for before, job, _ in changes:
        queue = job.spec.queue
        if (numbers := queues.get(queue)) is None:
            numbers = queues[queue] = dict.fromkeys(_NUMBERS, 0)
        numbers[job.state] += 1
        numbers["success_runs"] += job.succeeded_runs
        numbers["failed_runs"] += job.failed_runs
        if before is None:
            numbers["total_jobs"] += 1
        else:
            numbers[before.state] -= 1
            numbers["success_runs"] -= before.succeeded_runs
            numbers["failed_runs"] -= before.failed_runs
    yield Write(MOVE, [(queue, *numbers.values()) for queue, numbers in queues.items()])


COUNTS = ReadModel(name="counts", version=1, kind="job", derive=derive, table=TABLE)


def by_queue(tx: Reader) -> dict[str, Counts]:
    """Return the numbers of each queue that has ever had a job, by name of the queue."""
    return {
        queue: Counts(dict(zip(STATES, numbers, strict=False)), *numbers[len(STATES) :])
        for queue, *numbers in tx.query(ALL)
    }


def total(tx: Reader, queue: str | None = None) -> Counts:
    """Return the numbers of one queue, or the sums over all queues."""
    states = dict.fromkeys(STATES, 0)
    metrics = [0, 0, 0]
    for name, counts in by_queue(tx).items():
        if queue is None or name == queue:
            for state, jobs in counts.states.items():
                states[state] += jobs
            metrics = [a + b for a, b in zip(metrics, counts[1:], strict=True)]
    return Counts(states, *metrics)
