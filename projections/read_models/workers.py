"""One row per worker, whether it is running or has ended."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from eventstore import codec
from eventstore.events.worker import WorkerStarted
from eventstore.store import Query, Reader, Row
from eventstore.tables import Table, Write

from ..errors import DamagedRow
from ..folds.worker import Worker
from ..read_model import Change, ReadModel, Tables
from ..streams import name_in, named

TABLE = Table(
    "workers",
    {
        "id": "text",
        "started": "text",
        "state": "text",
        "version": "integer",
        "position": "integer",
        "started_at": "integer",
        "ended_at": "integer or null",
        "stop": "text or null",
        "ended": "text or null",
    },
    key=("id",),
)

INDEXES = (
    """
    CREATE INDEX {workers}_active_{generation} ON {workers} (started_at, id)
     WHERE ended_at IS NULL""",
    "CREATE INDEX {workers}_newest_{generation} ON {workers} (started_at DESC, id)",
)

PUT = TABLE.put()

# By the primary key.
LOAD = f"SELECT {TABLE.listed} FROM {{workers}} WHERE id = :id"

# By the partial index: reads only workers that have not ended.
ACTIVE = Query(f"SELECT {TABLE.listed} FROM workers WHERE ended_at IS NULL ORDER BY started_at, id")

NEWEST = f"SELECT {TABLE.listed} FROM workers ORDER BY started_at DESC, id LIMIT :limit"


def derive(changes: Sequence[Change[Worker]]) -> Iterator[Write]:
    """Write the whole row of each worker; workers change rarely."""
    yield Write(PUT, [_row(worker) for _, worker, _ in changes])


def _row(worker: Worker) -> tuple[Any, ...]:
    return (
        worker.id,
        codec.encode(worker.started),
        worker.state,
        worker.version,
        worker.position,
        worker.started_at_us,
        worker.ended_at_us,
        worker.stop,
        worker.ended,
    )


WORKERS = ReadModel(
    name="workers",
    version=2,
    kind="worker",
    derive=derive,
    table=TABLE,
    indexes=INDEXES,
)


def load(tx: Reader, stream: str, tables: Tables) -> Worker | None:
    """Return the worker of this stream; None if there is none. tables: the names to read from."""
    rows = tx.query(LOAD.format_map(tables), {"id": name_in(stream)})
    return _worker(rows[0]) if rows else None


def get_query(worker_id: str) -> Query:
    """Return the query of `get`."""
    return Query(LOAD.format(workers="workers"), {"id": worker_id})


def get(tx: Reader, worker_id: str) -> Worker | None:
    """Return the worker with this id; None if there is none."""
    return load(tx, named("worker", worker_id), {"workers": "workers"})


def active(tx: Reader) -> list[Worker]:
    """Return the workers that have not ended according to the log, the oldest first."""
    return [_worker(row) for row in tx.query(ACTIVE.sql)]


def newest(tx: Reader, limit: int) -> list[Worker]:
    """Return the `limit` workers that were started last, newest first, ended ones included."""
    return [_worker(row) for row in tx.query(NEWEST, {"limit": limit})]


@cache
def _started() -> msgspec.json.Decoder[WorkerStarted]:
    return msgspec.json.Decoder(WorkerStarted)


def _worker(row: Row) -> Worker:
    worker_id, started, *rest = row
    try:
        return Worker(worker_id, _started().decode(started), *rest)
    except msgspec.MsgspecError:
        raise DamagedRow("workers", f"worker {worker_id}") from None
