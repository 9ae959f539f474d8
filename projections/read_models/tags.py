"""The tags of jobs."""

from collections.abc import Iterator, Sequence

from ..folds.job import Job
from ..read_model import Change, ReadModel, Write

SCHEMA = (
    """
    CREATE TABLE {tags} (
        key   TEXT NOT NULL,
        value TEXT NOT NULL,
        born  INTEGER NOT NULL,
        PRIMARY KEY (key, value, born)
    ) STRICT, WITHOUT ROWID""",
)

INSERT = "INSERT INTO {tags} VALUES (?, ?, ?)"


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


TAGS = ReadModel(
    name="tags",
    version=1,
    kind="job",
    schema=SCHEMA,
    derive=derive,
    table="tags",
    key="key, value, born",
)
