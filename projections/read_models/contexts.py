"""The directories and PATHs that jobs were enqueued from."""

from collections.abc import Iterator, Sequence

from eventstore.events.context import ContextRecorded
from eventstore.store import Reader

from ..folds.context import Context
from ..read_model import Change, ReadModel, Tables, Write

SCHEMA = (
    """
    CREATE TABLE {contexts} (
        position INTEGER PRIMARY KEY,
        version  INTEGER NOT NULL,
        cwd      TEXT NOT NULL,
        path     TEXT NOT NULL,
        UNIQUE (cwd, path)
    ) STRICT""",
)

INSERT = "INSERT INTO {contexts} VALUES (?, ?, ?, ?)"

LOAD = "SELECT version, position, cwd, path FROM {contexts} ORDER BY position DESC LIMIT 1"

GET = "SELECT version, position, cwd, path FROM contexts WHERE position = :position"

# By the unique index.
FIND = "SELECT position FROM contexts WHERE cwd = :cwd AND path = :path"


def derive(changes: Sequence[Change[Context]]) -> Iterator[Write]:
    """A row an event."""
    yield Write(
        INSERT,
        [
            (one.position, one.version, one.event.cwd, one.event.path)
            for _, _, recorded in changes
            for one in recorded
            if isinstance(one.event, ContextRecorded)
        ],
    )


CONTEXTS = ReadModel(
    name="contexts",
    version=1,
    kind="context",
    schema=SCHEMA,
    derive=derive,
    table="contexts",
    key="position",
)


def load(tx: Reader, _: str, tables: Tables) -> Context | None:
    """The context recorded last."""
    found = tx.query(LOAD.format_map(tables))
    return Context(*found[0]) if found else None


def get(tx: Reader, position: int) -> Context | None:
    """The context recorded at this position; None for 0 and where there is none."""
    found = tx.query(GET, {"position": position})
    return Context(*found[0]) if found else None


def find(tx: Reader, cwd: str, path: str) -> int | None:
    """The position at which this pair was recorded; None where it was not."""
    found = tx.query(FIND, {"cwd": cwd, "path": path})
    return int(found[0][0]) if found else None
