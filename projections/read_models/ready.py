"""What a worker may claim next: priority first, then age."""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from eventstore.store import Reader, Row

from ..folds.job import Job
from ..read_model import Change, ReadModel, Write

# A partial index of `jobs` instead of a table of its own: one row less to write at each step.
SCHEMA = (
    """
    CREATE INDEX {jobs}_ready_{generation} ON {jobs} (queue, priority DESC, born)
     WHERE state = 'pending'""",
)

# In the index's own order: flat however many are pending or finished.
NEXT_READY = """
    SELECT -priority, born, id, lost_in_row FROM jobs
     WHERE state = 'pending' AND queue = :queue ORDER BY priority DESC, born LIMIT :limit"""

# A row a queue.
WAITING_QUEUES = "SELECT queue FROM counts WHERE pending > 0"

# By (state, born): the one enqueued first.
OLDEST = "SELECT id FROM jobs WHERE state = 'pending' ORDER BY born LIMIT 1"

# By (queue, state, born).
OLDEST_OF = """
    SELECT id FROM jobs WHERE queue = :queue AND state = 'pending' ORDER BY born LIMIT 1"""


class Ready(NamedTuple):
    """A job that may be claimed."""

    job_id: str
    lost_in_row: int
    """Attempts whose worker died since the last one with a known end: it may have been the job."""


def derive(_: Sequence[Change[Job]]) -> Iterator[Write]:
    """Nothing: SQLite keeps the index."""
    return iter(())


READY = ReadModel(name="ready", version=1, kind="job", schema=SCHEMA, derive=derive)


def next_ready(tx: Reader, queues: tuple[str, ...], limit: int) -> list[Ready]:
    """At most `limit` jobs in the order to claim them in; no `queues` is all of them."""
    waiting = queues or tuple(row[0] for row in tx.query(WAITING_QUEUES))
    heads = [_heads(tx, queue, limit) for queue in dict.fromkeys(waiting)]
    return [Ready(*row[2:]) for row in islice(merge(*heads), limit)]


def oldest_waiting(tx: Reader, queue: str | None = None) -> str | None:
    """Id of the pending job, of one queue or of all, that was enqueued first; None where none."""
    found = tx.query(OLDEST) if queue is None else tx.query(OLDEST_OF, {"queue": queue})
    return str(found[0][0]) if found else None


def _heads(tx: Reader, queue: str, limit: int) -> list[Row]:
    return tx.query(NEXT_READY, {"queue": queue, "limit": limit})
