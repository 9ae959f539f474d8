"""One row per attempt: its times, worker, outcome and resource usage."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eventstore.events.job import Cancelled, Claimed, Failed, Released, Succeeded
from eventstore.events.recorded import Recorded
from eventstore.store import Reader
from eventstore.tables import Table, Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

TABLE = Table(
    "runs",
    {
        "born": "integer",
        "attempt": "integer",
        "worker": "text",
        "slot": "integer",
        "claimed_at": "integer",
        "waited_us": "integer",
        "ended_at": "integer or null",
        "outcome": "text or null",
        "reason": "text or null",
        "exit_code": "integer or null",
        "signal": "integer or null",
        "error": "text or null",
        "duration_us": "integer or null",
        "cpu_us": "integer or null",
        "memory_bytes": "integer or null",
        "output_bytes": "integer or null",
        "kept_bytes": "integer or null",
        "stragglers": "integer or null",
        "memory_below_bytes": "integer or null",
        "straggler_names": "text or null",
    },
    key=("born", "attempt"),
)

_AT_THE_END = tuple(TABLE.columns)[6:]
"""The columns from `ended_at` on, which are null while the attempt runs."""

BEGIN = TABLE.insert(*(column for column in TABLE.columns if column not in _AT_THE_END))

WHOLE = TABLE.insert()

END = TABLE.update(*_AT_THE_END, *TABLE.key)

RELEASE = TABLE.delete()

# By the primary key: a job's attempts are stored together.
OF_JOB = f"SELECT {TABLE.listed} FROM runs WHERE born = :born ORDER BY attempt"

# By the primary key, the last one first: reads at most :limit rows.
LATEST = f"""
    SELECT {TABLE.listed} FROM runs WHERE born = :born ORDER BY attempt DESC LIMIT :limit"""

# By the primary key.
ONE = f"SELECT {TABLE.listed} FROM runs WHERE born = :born AND attempt = :attempt"


class Run(NamedTuple):
    """An attempt. Times: UTC, microseconds since 1970.

    While it runs, all fields after `waited_us` are None. If its worker was lost, nothing was
    measured: the fields from `duration_us` on are None.
    """

    born: int
    """`born` of its job."""
    attempt: int
    worker: str
    slot: int
    claimed_at_us: int
    waited_us: int
    ended_at_us: int | None
    outcome: str | None
    """`succeeded`, `failed` or `cancelled`."""
    reason: str | None
    """Reason of a failure, as in the `failed` event."""
    exit_code: int | None
    signal: int | None
    error: str | None
    duration_us: int | None
    cpu_us: int | None
    memory_bytes: int | None
    output_bytes: int | None
    kept_bytes: int | None
    stragglers: int | None
    memory_below_bytes: int | None
    """Upper limit of the peak memory, if `memory_bytes` is None."""
    straggler_names: tuple[str, ...] | None


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Insert a row for each claim, and complete the row when its attempt ends.

    If both happen in the same changes, the whole row is inserted at once. A released claim is not
    an attempt: its row is deleted, and the next claim has the same number.
    """
    begun: dict[tuple[int, int], tuple[Any, ...]] = {}
    whole, ends, released = [], [], []
    for _, job, recorded in changes:
        born = job.born
        for record in recorded:
            event = record.event
            if type(event) is Claimed:
                begun[born, event.attempt] = _begin(born, event, record.recorded_at_us)
            elif type(event) is Released:
                if begun.pop((born, event.attempt), None) is None:
                    released.append((born, event.attempt))
            elif (end := _end(record)) is not None:
                key, facts = end
                if begin := begun.pop((born, key), None):
                    whole.append((*begin, *facts))
                else:
                    ends.append((*facts, born, key))
    yield Write(RELEASE, released)
    yield Write(WHOLE, whole)
    yield Write(BEGIN, list(begun.values()))
    yield Write(END, ends)


def _begin(born: int, event: Claimed, at_us: int) -> tuple[Any, ...]:
    return (born, event.attempt, event.worker, event.slot, at_us, event.waited_us)


def _end(record: Recorded) -> tuple[int, tuple[Any, ...]] | None:
    """Return the number of the attempt that this event ends, and its columns from `ended_at` on.

    None if the event ends no attempt.
    """
    at = record.recorded_at_us
    end: tuple[Any, ...]
    match record.event:
        case Succeeded() as event:
            end = (at, "succeeded", None, event.exit_code, event.signal, None, *_usage(event))
        case Failed() as event:
            end = (at, "failed", event.reason, event.exit_code, event.signal, event.error)
            end = (*end, *_usage(event))
        case Cancelled() as event if event.attempt is not None:
            end = (at, "cancelled", None, event.exit_code, event.signal, None, *_usage(event))
        case _:
            return None
    assert event.attempt is not None
    return event.attempt, end


def _usage(event: Succeeded | Failed | Cancelled) -> tuple[Any, ...]:
    """Return the columns with measurements: all None if the worker died and measured nothing.

    If a worker died before it handled a cancel request, `cancelled` is recorded with duration 0.
    """
    if isinstance(event, Failed) and event.reason == "worker-lost":
        return _UNKNOWN
    if isinstance(event, Cancelled) and event.duration_us == 0:
        return _UNKNOWN
    return (
        event.duration_us,
        event.cpu_us,
        event.memory_bytes,
        event.output_bytes,
        event.kept_bytes,
        event.stragglers,
        event.memory_below_bytes,
        "\n".join(event.straggler_names),
    )


_UNKNOWN = (None,) * 8

RUNS = ReadModel(name="runs", version=4, kind="job", derive=derive, table=TABLE)


def of_job(tx: Reader, born: int) -> list[Run]:
    """Return all attempts of the job with this `born`, in order."""
    return [_run(*row) for row in tx.query(OF_JOB, {"born": born})]


def get(tx: Reader, born: int, attempt: int) -> Run | None:
    """Return one attempt of the job with this `born`; None if there is no such attempt."""
    rows = tx.query(ONE, {"born": born, "attempt": attempt})
    return _run(*rows[0]) if rows else None


def latest(tx: Reader, born: int, limit: int) -> list[Run]:
    """Return the last `limit` attempts of the job with this `born`, in order."""
    rows = tx.query(LATEST, {"born": born, "limit": limit})
    return [_run(*row) for row in reversed(rows)]


def _run(*row: Any) -> Run:
    names = None if row[-1] is None else tuple(row[-1].split("\n")) if row[-1] else ()
    return Run._make((*row[:-1], names))
