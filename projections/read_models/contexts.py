"""The directories and PATHs from which jobs were enqueued."""

from collections.abc import Iterator, Sequence

from eventstore.events.context import ContextRecorded
from eventstore.store import Query, Reader
from eventstore.tables import Table, Write

from ..folds.context import Context
from ..read_model import Change, ReadModel, Tables

TABLE = Table(
    "contexts",
    {"position": "integer", "version": "integer", "cwd": "text", "path": "text"},
    key=("position",),
    unique=(("cwd", "path"),),
)

INSERT = TABLE.insert()

LOAD = "SELECT version, position, cwd, path FROM {contexts} ORDER BY position DESC LIMIT 1"

GET = "SELECT version, position, cwd, path FROM contexts WHERE position = :position"

# By the unique index.
FIND = "SELECT position FROM contexts WHERE cwd = :cwd AND path = :path"


def derive(changes: Sequence[Change[Context]]) -> Iterator[Write]:
    """Add one row per event."""
    yield Write(
        INSERT,
        [
            (record.position, record.version, record.event.cwd, record.event.path)
            for _, _, recorded in changes
            for record in recorded
            if isinstance(record.event, ContextRecorded)
        ],
    )


CONTEXTS = ReadModel(name="contexts", version=1, kind="context", derive=derive, table=TABLE)


def load(tx: Reader, _: str, tables: Tables) -> Context | None:
    """Return the context that was recorded last; None if there is none."""
    rows = tx.query(LOAD.format_map(tables))
    return Context(*rows[0]) if rows else None


def get(tx: Reader, position: int) -> Context | None:
    """Return the context recorded at this position; None if there is none, as for position 0."""
    rows = tx.query(GET, {"position": position})
    return Context(*rows[0]) if rows else None


def find(tx: Reader, cwd: str, path: str) -> int | None:
    """Return the position of the event with this directory and PATH; None if there is none."""
    rows = tx.query(*find_query(cwd, path))
    return int(rows[0][0]) if rows else None


def find_query(cwd: str, path: str) -> Query:
    """Return the query of `find`."""
    return Query(FIND, {"cwd": cwd, "path": path})
