"""The tags of jobs."""

from collections.abc import Iterator, Sequence

from eventstore.tables import Table, Write

from ..folds.job import Job
from ..read_model import Change, ReadModel

TABLE = Table(
    "tags",
    {"key": "text", "value": "text", "born": "integer"},
    key=("key", "value", "born"),
)

INSERT = TABLE.insert()


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Add one row per tag of each new job; tags never change."""
    yield Write(
        INSERT,
        [
            (key, value, job.born)
            for before, job, _ in changes
            if before is None
            for key, value in job.spec.tags.items()
        ],
    )


TAGS = ReadModel(name="tags", version=1, kind="job", derive=derive, table=TABLE)
