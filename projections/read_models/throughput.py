"""What happened in each minute, by queue: enqueued, started, finished, failed, and the waiting."""

from collections.abc import Iterator, Sequence

import msgspec

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

# By the key: a row per minute and queue, at most a week of them; one row per step comes out.
STEPS = """
    SELECT minute / :step, sum(enqueued), sum(succeeded), sum(failed) FROM throughput
     WHERE minute >= :minute AND (:queue IS NULL OR queue = :queue)
     GROUP BY minute / :step ORDER BY minute / :step"""

# By the key: a row per minute and queue since then; one row per queue comes out.
QUEUES = """
    SELECT queue, sum(enqueued), sum(succeeded), sum(failed) FROM throughput
     WHERE minute >= :minute GROUP BY queue"""

_COLUMN = {
    Enqueued: 0,
    Claimed: 1,
    Succeeded: 2,
    Failed: 3,
    Dead: 4,
    Cancelled: 5,
}
_WAITED = 6


class Minute(msgspec.Struct, frozen=True):
    """One minute's numbers, by the clock that recorded them."""

    started_at_us: int
    """Its first instant: UTC, microseconds since 1970."""
    enqueued: int
    started: int
    succeeded: int
    failed: int
    """Attempts that failed and counted: not those whose worker was lost or stopped."""
    dead: int
    cancelled: int
    waited_us: int
    """Summed over the started."""


class Step(msgspec.Struct, frozen=True):
    """The numbers of several minutes together."""

    started_at_us: int
    """Its first instant: UTC, microseconds since 1970."""
    enqueued: int
    succeeded: int
    failed: int
    """Attempts that failed and counted, as in `Minute`."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """The events of each minute and queue, summed."""
    minutes: dict[tuple[int, str], list[int]] = {}
    for _, job, recorded in changes:
        queue = job.spec.queue
        for one in recorded:
            event = one.event
            if (column := _COLUMN.get(type(event))) is None:
                continue
            if type(event) is Failed and not event.counted:
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
    version=2,
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


def steps(tx: Reader, since_us: int, minutes: int, queue: str | None = None) -> list[Step]:
    """The steps of `minutes` each in which something happened, from that of `since_us` on."""
    first = since_us // MINUTE_US // minutes * minutes
    rows = tx.query(STEPS, {"minute": first, "step": minutes, "queue": queue})
    return [Step(number * minutes * MINUTE_US, *numbers) for number, *numbers in rows]


def queues(tx: Reader, since_us: int) -> dict[str, Step]:
    """The numbers from the minute of `since_us` on of each queue in which something happened."""
    first = since_us // MINUTE_US
    rows = tx.query(QUEUES, {"minute": first})
    return {queue: Step(first * MINUTE_US, *numbers) for queue, *numbers in rows}
