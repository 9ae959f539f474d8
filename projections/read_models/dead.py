"""Dead jobs by the cause of their last failure and by queue."""

from collections.abc import Iterator, Sequence

import msgspec

from eventstore.store import Reader
from eventstore.tables import Table, Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

# One row per dead job. It depends only on the job's current state, so that a rebuild writes the
# same rows.
TABLE = Table(
    "dead",
    {"cause": "text", "queue": "text", "born": "integer"},
    key=("cause", "queue", "born"),
)

INSERT, DELETE = TABLE.insert(), TABLE.delete()

# One seek in the key per group.
NEXT_GROUP = """
    SELECT cause, queue FROM dead
     WHERE (cause, queue) > (:cause, :queue) ORDER BY cause, queue LIMIT 1"""

# The inner query reads a range of the key, and ends at the limit.
COUNT = """
    SELECT count(*) FROM (
        SELECT 1 FROM dead WHERE cause = :cause AND queue = :queue LIMIT :limit)
        AS counted"""

# By the key, newest first.
NEWEST = """
    SELECT born FROM dead
     WHERE cause = :cause AND queue = :queue AND born < :before ORDER BY born DESC LIMIT :limit"""

COUNTED = 10_000
"""Count at most this many jobs per group; a larger group is shown as 'at least' this many."""


class Group(msgspec.Struct, frozen=True):
    """The dead jobs of one queue whose last attempt failed in the same way."""

    cause: str
    queue: str
    jobs: int
    """At most `COUNTED`."""


def failure_cause(job: Job) -> str:
    """Return how the last attempt failed: `exit 1`, `signal 9`, or the reason of the failure."""
    if job.failure == "exit":
        return f"exit {job.exit_code}"
    if job.failure == "signal":
        return f"signal {job.signal}"
    return job.failure or "unknown"


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Add the jobs that became dead; remove the jobs that were requeued or discarded."""
    removed = [before for before, _, _ in changes if before is not None and before.state == "dead"]
    added = [after for _, after, _ in changes if after.state == "dead"]
    yield Write(DELETE, [_row(job) for job in removed])
    yield Write(INSERT, [_row(job) for job in added])


def _row(job: Job) -> tuple[str, str, int]:
    return failure_cause(job), job.spec.queue, job.born


DEAD = ReadModel(name="dead", version=1, kind="job", derive=derive, table=TABLE)


def groups(tx: Reader, most: int) -> list[Group]:
    """Return at most `most` groups, ordered by cause and queue."""
    result: list[Group] = []
    last: tuple[str, str] = ("", "")
    while len(result) < most:
        rows = tx.query(NEXT_GROUP, {"cause": last[0], "queue": last[1]})
        if not rows:
            break
        last = (rows[0][0], rows[0][1])
        counted = tx.query(COUNT, {"cause": last[0], "queue": last[1], "limit": COUNTED})
        result.append(Group(*last, counted[0][0]))
    return result


def newest(
    tx: Reader, cause: str, queue: str, limit: int, before_born: int = 2**63 - 1
) -> list[int]:
    """Return `born` (position of `enqueued`) of at most `limit` jobs of a group, newest first.

    Only jobs with `born` < `before_born` are returned.
    """
    bindings = {"cause": cause, "queue": queue, "before": before_born, "limit": limit}
    return [row[0] for row in tx.query(NEWEST, bindings)]
