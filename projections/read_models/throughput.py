"""What happened in each minute, by queue: enqueued, started, finished, failed, and the waiting."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventstore.events.job import Cancelled, Claimed, Dead, Enqueued, Failed, Succeeded
from eventstore.store import Reader

from ..folds.job import Job
from ..read_model import Change, ReadModel, Write

MINUTE_US = 60_000_000

_NUMBERS = ("enqueued", "started", "succeeded", "failed", "dead", "cancelled", "waited_us")

SCHEMA = (
    "CREATE TABLE {throughput} (minute INTEGER NOT NULL, queue TEXT NOT NULL, "
    + ", ".join(f"{name} INTEGER NOT NULL" for name in _NUMBERS)
    + ", PRIMARY KEY (minute, queue)) STRICT, WITHOUT ROWID",
)

ADD = (
    f"INSERT INTO {{throughput}} VALUES (?, ?, {', '.join('?' for _ in _NUMBERS)})"
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{n} = {n} + excluded.{n}' for n in _NUMBERS)}"
)

# By the key: a row a minute and queue.
SINCE = (
    f"SELECT minute, {', '.join(f'sum({n})' for n in _NUMBERS)} FROM throughput"
    " WHERE minute >= :minute AND (:queue IS NULL OR queue = :queue)"
    " GROUP BY minute ORDER BY minute"
)

_COLUMN = {
    Enqueued: 0,
    Claimed: 1,
    Succeeded: 2,
    Failed: 3,
    Dead: 4,
    Cancelled: 5,
}
_WAITED = 6


class Minute(NamedTuple):
    """One minute's numbers, by the clock that recorded them."""

    started_at_us: int
    """Its first instant: UTC, microseconds since 1970."""
    enqueued: int
    started: int
    succeeded: int
    failed: int
    """Attempts, each time."""
    dead: int
    cancelled: int
    waited_us: int
    """Summed over the started."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """The events of each minute and queue, summed."""
    minutes: dict[tuple[int, str], list[int]] = {}
    for _, job, recorded in changes:
        queue = job.spec.queue
        for one in recorded:
            event = one.event
            if (column := _COLUMN.get(type(event))) is None:
                continue
            key = (one.recorded_at_us // MINUTE_US, queue)
            if (numbers := minutes.get(key)) is None:
                numbers = minutes[key] = [0] * len(_NUMBERS)
            numbers[column] += 1
            if type(event) is Claimed:
                numbers[_WAITED] += event.waited_us
    yield Write(ADD, [(*key, *numbers) for key, numbers in minutes.items()])


THROUGHPUT = ReadModel(
    name="throughput",
    version=1,
    kind="job",
    schema=SCHEMA,
    derive=derive,
    table="throughput",
    key="minute, queue",
)


def since(tx: Reader, since_us: int, queue: str | None = None) -> list[Minute]:
    """The minutes from that of `since_us` on in which something happened, in order."""
    rows = tx.query(SINCE, {"minute": since_us // MINUTE_US, "queue": queue})
    return [Minute(minute * MINUTE_US, *numbers) for minute, *numbers in rows]
