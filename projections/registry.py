"""The list of all read models, and the Projector, which folds each event into their tables once."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from eventstore.dialect import Dialect
from eventstore.events.recorded import Recorded
from eventstore.store import Query, Reader, Writer
from eventstore.tables import HOT, Table, Write

from .folds.job import Job
from .kinds import KINDS
from .read_model import Change, ReadModel, Tables
from .read_models import jobs
from .read_models.contexts import CONTEXTS
from .read_models.counts import COUNTS
from .read_models.dead import DEAD
from .read_models.jobs import JOBS
from .read_models.ready import READY
from .read_models.runs import RUNS
from .read_models.sequence import SEQUENCE
from .read_models.settings import SETTINGS
from .read_models.tags import TAGS
from .read_models.throughput import THROUGHPUT
from .read_models.timers import TIMERS
from .read_models.workers import WORKERS
from .streams import StreamKind, is_job, kind_of

READ_MODELS: tuple[ReadModel, ...] = (
    JOBS,
    READY,
    TIMERS,
    TAGS,
    COUNTS,
    SEQUENCE,
    RUNS,
    THROUGHPUT,
    WORKERS,
    SETTINGS,
    CONTEXTS,
    DEAD,
)

TABLES: tuple[Table, ...] = tuple(model.table for model in READ_MODELS if model.table)

LIVE: Tables = {table.name: table.name for table in TABLES}

DEFINITION = " ".join(f"{model.name}={model.version}" for model in READ_MODELS)
"""The read models and their versions. A queue file stores the definition of its tables."""

# One row: definition and generation of the live tables, and position of the last event in them.
CHECKPOINT = Table(
    "checkpoint",
    {"definition": "text", "generation": "integer", "position": "integer"},
    key=(),
    on_server=HOT,
)

READ_CHECKPOINT = Query("SELECT definition, generation, position FROM checkpoint")

ADVANCE = "UPDATE checkpoint SET position = :position"

_BY_KIND: Mapping[StreamKind, tuple[ReadModel, ...]] = {
    kind: tuple(model for model in READ_MODELS if model.kind == kind) for kind in KINDS
}


class _Pending(msgspec.Struct):
    """A stream with events that are not in the tables yet."""

    before: Any
    after: Any
    recorded: list[Recorded]


_EVOLVE = {name: kind.evolve for name, kind in KINDS.items()}


class Projector:
    """Folds recorded events into one set of tables, within one transaction.

    It keeps the states of the streams that it has read, so that each row is read only once.
    """

    def __init__(self, tx: Writer, tables: Tables = LIVE) -> None:
        self._tx, self._tables = tx, tables
        self._states: dict[str, Any] = {}
        self._pending: dict[StreamKind, dict[str, _Pending]] = {kind: {} for kind in _BY_KIND}
        self.pending_streams = 0
        """Number of streams with events that are not in the tables yet."""

    def state(self, stream: str) -> Any:
        """Return the state of a stream after all folded events; None if it has no event."""
        if stream not in self._states:
            load = KINDS[kind_of(stream)].load
            self._states[stream] = load(self._tx, stream, self._tables)
        return self._states[stream]

    def fold(self, recorded: Iterable[Recorded]) -> None:
        """Fold these events, in order, into the states. `flush` writes the states to the tables."""
        states = self._states
        for record in recorded:
            stream = record.stream
            kind = kind_of(stream)
            before = states[stream] if stream in states else self.state(stream)
            states[stream] = after = _EVOLVE[kind](before, record)
            if pending := self._pending[kind].get(stream):
                pending.after = after
                pending.recorded.append(record)
            else:
                self._pending[kind][stream] = _Pending(before, after, [record])
                self.pending_streams += 1

    def mark_new(self, stream: str) -> None:
        """Mark a stream as new, so that its state is not looked up."""
        self._states[stream] = None

    def assume(self, jobs: Iterable[Job]) -> None:
        """Use these states of jobs without reading them; the append checks their versions."""
        self._states.update((job.id, job) for job in jobs)

    def preload(self, streams: Iterable[str]) -> None:
        """Read the states of many jobs with one statement, before their events are folded."""
        job_ids = [stream for stream in streams if is_job(stream) and stream not in self._states]
        self._states.update(dict.fromkeys(job_ids))
        self._states.update(jobs.load_many(self._tx, job_ids, self._tables))

    def flush(self) -> dict[StreamKind, list[Change[Any]]]:
        """Write the changes by all folded events to the tables; return them by kind of stream."""
        changed: dict[StreamKind, list[Change[Any]]] = {}
        if not self.pending_streams:
            return changed
        for kind, streams in self._pending.items():
            if streams:
                pending = streams.values()
                changed[kind] = changes = [
                    Change(stream.before, stream.after, stream.recorded) for stream in pending
                ]
                for model in _BY_KIND[kind]:
                    self._run(model.derive(changes))
                streams.clear()
        self.pending_streams = 0
        return changed

    def forget(self) -> None:
        """Drop all states, so that memory stays constant in long transactions."""
        assert not self.pending_streams, "events were folded and not flushed"
        self._states.clear()

    def _run(self, writes: Iterable[Write]) -> None:
        for statement, rows in writes:
            if rows:
                self._tx.write(statement, rows, self._tables[statement.table.name])


def schema(dialect: Dialect, tables: Tables = LIVE, generation: int = 1) -> list[str]:
    """Return the statements that create empty tables with these names, and their indexes."""
    names = {**tables, "generation": str(generation)}
    return [
        *(dialect.create(table, tables[table.name]) for table in TABLES),
        *(index.strip().format_map(names) for model in READ_MODELS for index in model.indexes),
    ]


def first_schema(dialect: Dialect) -> list[str]:
    """Return the statements for a new queue, in addition to those of the log."""
    return [
        *schema(dialect),
        dialect.create(CHECKPOINT, CHECKPOINT.name),
        f"INSERT INTO checkpoint VALUES ('{DEFINITION}', 1, 0)",
    ]


def ensure_checkpoint(tx: Writer) -> None:
    """Create the table `checkpoint` and its row if another program has removed them.

    The row says that there are no read models. Its generation is the current time, as names of
    indexes end in the generation, and that of the existing ones is not known.
    """
    if CHECKPOINT.name not in tx.tables():
        tx.execute(tx.dialect.create(CHECKPOINT, CHECKPOINT.name))
    if not tx.query("SELECT 1 FROM checkpoint"):
        tx.execute("INSERT INTO checkpoint VALUES ('', :now, 0)", {"now": tx.now_us})


class Checkpoint(NamedTuple):
    """The definition of the live tables, and the position of the last event in them."""

    definition: str
    generation: int
    position: int


def checkpoint(tx: Reader) -> Checkpoint:
    """Return the only row of the table `checkpoint`.

    If another program has deleted it, return that of a queue without read models.
    """
    rows = tx.query(READ_CHECKPOINT.sql)
    return Checkpoint(*rows[0]) if rows else Checkpoint("", 0, 0)


def freshness(checkpoint: Checkpoint) -> Literal["current", "stale", "newer"]:
    """Return how the definition of the tables compares with that of this version."""
    if checkpoint.definition == DEFINITION:
        return "current"
    known = _versions(DEFINITION)
    stored = _versions(checkpoint.definition)
    newer = any(version > known.get(name, 0) for name, version in stored.items())
    return "newer" if newer else "stale"


def _versions(definition: str) -> dict[str, int]:
    pairs = (part.split("=") for part in definition.split())
    return {name: int(version) for name, version in pairs}
