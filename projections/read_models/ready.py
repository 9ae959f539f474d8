"""The pending jobs in the order in which workers claim them: by priority, then by age."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice

from eventstore.store import Query, Reader, Row
from eventstore.tables import Write

from ..folds.job import Job
from ..job_rows import COLUMNS, job_from
from ..read_model import Change, ReadModel

# A partial index on `jobs` instead of a separate table: one row less to write at each change.
INDEXES = (
    """
    CREATE INDEX {jobs}_ready_{generation} ON {jobs} (queue, priority DESC, born)
     WHERE state = 'pending'""",
)

# In the order of the index: the cost does not grow with the number of pending or finished jobs.
NEXT_READY = f"""
    SELECT {COLUMNS}, -priority FROM jobs
     WHERE state = 'pending' AND queue = :queue ORDER BY priority DESC, born LIMIT :limit"""

# Reads one row per queue.
WAITING_QUEUES = Query("SELECT queue FROM counts WHERE pending > 0")

# By (state, born): reads one row.
OLDEST = "SELECT id FROM jobs WHERE state = 'pending' ORDER BY born LIMIT 1"

# By (queue, state, born).
OLDEST_OF = """
    SELECT id FROM jobs WHERE queue = :queue AND state = 'pending' ORDER BY born LIMIT 1"""


def derive(_: Sequence[Change[Job]]) -> Iterator[Write]:
    """Write nothing: the database updates the index."""
    return iter(())


READY = ReadModel(name="ready", version=1, kind="job", derive=derive, indexes=INDEXES)


def next_ready(tx: Reader, queues: tuple[str, ...], limit: int) -> list[Job]:
    """Return at most `limit` jobs in the order in which to claim them. queues: empty means all."""
    waiting = queues or tuple(row[0] for row in tx.query(WAITING_QUEUES.sql))
    heads = [tx.query(*_heads_query(queue, limit)) for queue in dict.fromkeys(waiting)]
    return [job_from(row[:-1]) for row in islice(merge(*heads, key=_rank), limit)]


def next_ready_queries(
    queues: tuple[str, ...], likely: Iterable[str], limit: int
) -> Iterator[Query]:
    """Yield the queries of `next_ready`. likely: queues that may have jobs, if it serves all."""
    if not queues:
        yield WAITING_QUEUES
    for queue in dict.fromkeys(queues or likely):
        yield _heads_query(queue, limit)


def oldest_waiting(tx: Reader, queue: str | None = None) -> str | None:
    """Return the id of the pending job that was enqueued first; None if no job is pending.

    queue: only this queue; None for all.
    """
    rows = tx.query(OLDEST) if queue is None else tx.query(OLDEST_OF, {"queue": queue})
    return str(rows[0][0]) if rows else None


def _rank(row: Row) -> tuple[int, int]:
    """Return the negative priority of a row, and `born`."""
    return row[-1], row[0]


def _heads_query(queue: str, limit: int) -> Query:
    return Query(NEXT_READY, {"queue": queue, "limit": limit})
