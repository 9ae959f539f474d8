"""The jobs that wait for a time: retries and delayed jobs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventstore.store import Query, Reader
from eventstore.tables import Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

# A partial index on `jobs`: a job has a due time only while it waits for it.
INDEXES = (
    "CREATE INDEX {jobs}_due_{generation} ON {jobs} (due_at) WHERE due_at IS NOT NULL",
    # When each delay began. This is in the future only if the clock was set back.
    """
    CREATE INDEX {jobs}_delayed_{generation} ON {jobs} ((due_at - delay_us))
     WHERE delay_us IS NOT NULL""",
)

EARLIEST = Query("SELECT due_at FROM jobs WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1")

DUE = """
    SELECT id FROM jobs
     WHERE due_at IS NOT NULL AND due_at <= :now ORDER BY due_at, born LIMIT :limit"""

# In the order of the index, in which the key of `jobs` follows `due_at`.
UPCOMING = """
    SELECT due_at, born FROM jobs
     WHERE due_at IS NOT NULL AND (due_at, born) > (:due, :born)
     ORDER BY due_at, born LIMIT :limit"""


class Due(NamedTuple):
    """A job that waits for a time. `due_at_us`: UTC, microseconds since 1970."""

    due_at_us: int
    born: int


# By the partial index on the beginning of the delay.
BEGUN_AFTER = """
    SELECT id FROM jobs
     WHERE delay_us IS NOT NULL AND due_at - delay_us > :now ORDER BY due_at - delay_us
     LIMIT :limit"""


def derive(_: Sequence[Change[Job]]) -> Iterator[Write]:
    """Write nothing: the database updates the indexes."""
    return iter(())


TIMERS = ReadModel(name="timers", version=2, kind="job", derive=derive, indexes=INDEXES)


def earliest(tx: Reader) -> int | None:
    """Return when the next job is due (UTC, microseconds since 1970); None if no job waits."""
    rows = tx.query(EARLIEST.sql)
    return int(rows[0][0]) if rows else None


def due(tx: Reader, now_us: int, limit: int) -> list[str]:
    """Return the ids of at most `limit` jobs that are due, in order of their due times."""
    return [row[0] for row in tx.query(DUE, {"now": now_us, "limit": limit})]


def begun_after(tx: Reader, now_us: int, limit: int) -> list[str]:
    """Return the ids of at most `limit` jobs whose delay began after `now_us`, in that order."""
    return [row[0] for row in tx.query(*begun_after_query(now_us, limit))]


def begun_after_query(now_us: int, limit: int) -> Query:
    """Return the query of `begun_after`."""
    return Query(BEGUN_AFTER, {"now": now_us, "limit": limit})


def upcoming(tx: Reader, limit: int, after: Due | None = None) -> list[Due]:
    """Return at most `limit` retries and delayed jobs after `after`, the earliest due first."""
    due, born = after or (-(2**63), 0)
    rows = tx.query(UPCOMING, {"due": due, "born": born, "limit": limit})
    return [Due(*row) for row in rows]
