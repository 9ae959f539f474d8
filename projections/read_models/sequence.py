"""The highest job number given so far: the next job gets the one after it."""

from collections.abc import Iterator, Sequence

from eventstore.store import Reader

from ..folds.job import Job
from ..read_model import Change, ReadModel, Write

SCHEMA = (
    """
    CREATE TABLE {sequence} (
        name TEXT NOT NULL PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

RAISE = """
    INSERT INTO {sequence} VALUES ('job', ?)
        ON CONFLICT DO UPDATE SET last = max(last, excluded.last)"""

LAST = "SELECT last FROM sequence WHERE name = 'job'"


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """The highest number among the new jobs. Ids that clients bring are never numbers."""
    numbers = [int(job.id) for before, job, _ in changes if before is None and job.id.isdecimal()]
    if numbers:
        yield Write(RAISE, [(max(numbers),)])


SEQUENCE = ReadModel(
    name="sequence",
    version=1,
    kind="job",
    schema=SCHEMA,
    derive=derive,
    table="sequence",
    key="name",
)


def last_number(tx: Reader) -> int:
    """The highest number given; 0 before the first."""
    found = tx.query(LAST)
    return int(found[0][0]) if found else 0
