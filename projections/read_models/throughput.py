"""The number of events per minute and queue: enqueued, started, succeeded …, and waiting times."""

from collections.abc import Iterator, Sequence

import msgspec

from eventstore.events.job import Cancelled, Claimed, Dead, Enqueued, Failed, Succeeded
from eventstore.store import Reader
from eventstore.tables import ColumnType, Table, Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

MINUTE_US = 60_000_000

_NUMBERS = ("enqueued", "started", "succeeded", "failed", "dead", "cancelled", "waited_us")

_COLUMNS: dict[str, ColumnType] = {
    "minute": "integer",
    "queue": "text",
    **dict.fromkeys(_NUMBERS, "integer"),
}

# Each transaction updates the rows of the current minute, but the older ones stay.
TABLE = Table("throughput", _COLUMNS, key=("minute", "queue"), on_server={"fillfactor": "50"})

ADD = TABLE.add()


def _sums(*columns: str) -> str:
    """Return the sums of these columns as an SQL list.

    Without the cast PostgreSQL gives decimals.
    """
    return ", ".join(f"CAST(sum({column}) AS BIGINT)" for column in columns)


# The cast gives the parameter a type even if it is null.
_OF_QUEUE = "(CAST(:queue AS TEXT) IS NULL OR queue = :queue)"

# By the primary key: reads one row per minute and queue.
SINCE = f"""
    SELECT minute, {_sums(*_NUMBERS)} FROM throughput
     WHERE minute >= :minute AND {_OF_QUEUE} GROUP BY minute ORDER BY minute"""

# By the primary key: reads one row per minute and queue of at most a week.
STEPS = f"""
    SELECT minute / :step, {_sums("enqueued", "succeeded", "failed")} FROM throughput
     WHERE minute >= :minute AND {_OF_QUEUE}
     GROUP BY minute / :step ORDER BY minute / :step"""

# By the primary key: reads one row per minute and queue since then.
QUEUES = f"""
    SELECT queue, {_sums("enqueued", "succeeded", "failed")} FROM throughput
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
    """The numbers of one minute, by the recorded times of the events."""

    started_at_us: int
    """Start of the minute: UTC, microseconds since 1970."""
    enqueued: int
    started: int
    succeeded: int
    failed: int
    """Attempts that failed and used up a retry. A lost or stopped worker does not count."""
    dead: int
    cancelled: int
    waited_us: int
    """Sum of the times that all started attempts waited since they became pending."""


class Step(msgspec.Struct, frozen=True):
    """The sums over several minutes."""

    started_at_us: int
    """Start of the first minute: UTC, microseconds since 1970."""
    enqueued: int
    succeeded: int
    failed: int
    """As in `Minute`."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Add the events to the sums of their minutes and queues."""
    sums: dict[str, dict[int, list[int]]] = {}
    for _, job, recorded in changes:
        if (minutes := sums.get(job.spec.queue)) is None:
            minutes = sums[job.spec.queue] = {}
        for record in recorded:
            event = record.event
            if (column := _COLUMN.get(type(event))) is None:
                continue
            if type(event) is Failed and not event.counted:
                continue
            minute = record.recorded_at_us // MINUTE_US
            if (numbers := minutes.get(minute)) is None:
                numbers = minutes[minute] = [0] * len(_NUMBERS)
            numbers[column] += 1
            if type(event) is Claimed:
                numbers[_WAITED] += event.waited_us
    yield Write(
        ADD,
        [
            (minute, queue, *numbers)
            for queue, minutes in sums.items()
            for minute, numbers in minutes.items()
        ],
    )


THROUGHPUT = ReadModel(name="throughput", version=2, kind="job", derive=derive, table=TABLE)


def since(tx: Reader, since_us: int, queue: str | None = None) -> list[Minute]:
    """Return the minutes with events, in order, beginning with the minute of `since_us`.

    queue: only this queue; None for all.
    """
    rows = tx.query(SINCE, {"minute": since_us // MINUTE_US, "queue": queue})
    return [Minute(minute * MINUTE_US, *numbers) for minute, *numbers in rows]


def steps(tx: Reader, since_us: int, minutes: int, queue: str | None = None) -> list[Step]:
    """Return the steps with events, in order, beginning with the step of `since_us`.

    minutes: the length of a step. queue: only this queue; None for all.
    """
    first = since_us // MINUTE_US // minutes * minutes
    rows = tx.query(STEPS, {"minute": first, "step": minutes, "queue": queue})
    return [Step(number * minutes * MINUTE_US, *numbers) for number, *numbers in rows]


def queues(tx: Reader, since_us: int) -> dict[str, Step]:
    """Return the sums since the minute of `since_us`, by name of each queue with events."""
    first = since_us // MINUTE_US
    rows = tx.query(QUEUES, {"minute": first})
    return {queue: Step(first * MINUTE_US, *numbers) for queue, *numbers in rows}
