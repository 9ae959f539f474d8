"""The highest job number used so far: the next job gets the next number."""

from collections.abc import Iterator, Sequence

from eventstore.store import Query, Reader
from eventstore.tables import HOT, Table, Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

TABLE = Table("sequence", {"name": "text", "last": "integer"}, key=("name",), on_server=HOT)

RAISE = TABLE.raise_()

LAST = Query("SELECT last FROM sequence WHERE name = 'job'")


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Write the highest number of the new jobs. Ids that clients choose are never numbers."""
    numbers = [int(job.id) for before, job, _ in changes if before is None and job.id.isdecimal()]
    if numbers:
        yield Write(RAISE, [("job", max(numbers))])


SEQUENCE = ReadModel(name="sequence", version=1, kind="job", derive=derive, table=TABLE)


def last_number(tx: Reader) -> int:
    """Return the highest number used; 0 before the first job."""
    rows = tx.query(LAST.sql)
    return int(rows[0][0]) if rows else 0
