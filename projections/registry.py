"""The list of all read models, and how recorded events are carried into them, once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from eventstore.events.recorded import Recorded
from eventstore.store import Reader, Writer

from .folds import config as config_fold
from .folds import context as context_fold
from .folds import job as job_fold
from .folds import worker as worker_fold
from .folds.job import Job
from .read_model import Change, ReadModel, StreamKind, Tables, Write
from .read_models import contexts, jobs, settings, workers
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

TABLES: tuple[str, ...] = tuple(model.table for model in READ_MODELS if model.table)

LIVE: Tables = {name: name for name in TABLES}

DEFINITION = " ".join(f"{model.name}={model.version}" for model in READ_MODELS)
"""What the tables in a file were derived by: each read model and its version."""

# One row: what the live tables are, and the last position carried into them.
CHECKPOINT = """
    CREATE TABLE checkpoint (
        definition TEXT NOT NULL,
        generation INTEGER NOT NULL,
        position   INTEGER NOT NULL
    ) STRICT"""

ADVANCE = "UPDATE checkpoint SET position = ?"

_BY_KIND: Mapping[StreamKind, tuple[ReadModel, ...]] = {
    kind: tuple(model for model in READ_MODELS if model.kind == kind)
    for kind in get_args(StreamKind)
}


class _Moved(msgspec.Struct):
    """A stream with events that the tables do not show yet."""

    before: Any
    after: Any
    recorded: list[Recorded]


class _Fold(msgspec.Struct, frozen=True):
    evolve: Callable[[Any, Recorded], Any]
    load: Callable[[Reader, str, Tables], Any]


_FOLDS: Mapping[StreamKind, _Fold] = {
    "job": _Fold(job_fold.evolve, jobs.load),
    "worker": _Fold(worker_fold.evolve, workers.load),
    "config": _Fold(config_fold.evolve, settings.load),
    "context": _Fold(context_fold.evolve, contexts.load),
}


_EVOLVE = {kind: fold.evolve for kind, fold in _FOLDS.items()}


def kind_of(stream: str) -> StreamKind:
    """What a stream is about, by its name."""
    if stream[0] != "$":
        return "job"
    match stream.partition(":")[0]:
        case "$worker":
            return "worker"
        case "$config":
            return "config"
        case "$context":
            return "context"
    raise AssertionError(f"no kind of stream is named {stream}")


class Projector:
    """Carries recorded events into one set of tables, within one transaction.

    It keeps the states it has touched, so that each row is read once and each event folded once.
    """

    def __init__(self, tx: Writer, tables: Tables = LIVE) -> None:
        self._tx, self._tables = tx, tables
        self._states: dict[str, Any] = {}
        self._moved: dict[StreamKind, dict[str, _Moved]] = {kind: {} for kind in _BY_KIND}
        self.pending_streams = 0
        """Streams with events that the tables do not show yet."""

    def state(self, stream: str) -> Any:
        """What the stream has become, with what was taken in; None where it has no event."""
        if stream not in self._states:
            load = _FOLDS[kind_of(stream)].load
            self._states[stream] = load(self._tx, stream, self._tables)
        return self._states[stream]

    def fold(self, recorded: Iterable[Recorded]) -> None:
        """Fold these events, in their order. The tables follow at `flush`."""
        states = self._states
        for one in recorded:
            stream = one.stream
            kind = kind_of(stream)
            before = states[stream] if stream in states else self.state(stream)
            states[stream] = after = _EVOLVE[kind](before, one)
            if moved := self._moved[kind].get(stream):
                moved.after = after
                moved.recorded.append(one)
            else:
                self._moved[kind][stream] = _Moved(before, after, [one])
                self.pending_streams += 1

    def mark_new(self, stream: str) -> None:
        """Spare the look for a stream that is known to have no event."""
        self._states[stream] = None

    def assume(self, jobs: Iterable[Job]) -> None:
        """Take these for the jobs' states without a look; the log checks their versions."""
        self._states.update((job.id, job) for job in jobs)

    def preload(self, streams: Iterable[str]) -> None:
        """Read the states of many jobs at once, before their events are taken in."""
        wanted = [one for one in streams if one[0] != "$" and one not in self._states]
        self._states.update(dict.fromkeys(wanted))
        self._states.update(jobs.load_many(self._tx, wanted, self._tables))

    def flush(self) -> None:
        """Bring the tables up to what was taken in."""
        if not self.pending_streams:
            return
        for kind, moved in self._moved.items():
            if moved:
                changes = [Change(one.before, one.after, one.recorded) for one in moved.values()]
                for model in _BY_KIND[kind]:
                    self._run(model.derive(changes))
                moved.clear()
        self.pending_streams = 0

    def forget(self) -> None:
        """Drop the states kept, so that memory stays flat over many chunks."""
        assert not self.pending_streams, "events were taken in and not flushed"
        self._states.clear()

    def _run(self, writes: Iterable[Write]) -> None:
        for sql, rows in writes:
            if rows:
                self._tx.execute_many(sql.format_map(self._tables), rows)


def schema(tables: Tables = LIVE, generation: int = 1) -> list[str]:
    """The statements that make empty tables under these names."""
    names = {**tables, "generation": str(generation)}
    return [text.strip().format_map(names) for model in READ_MODELS for text in model.schema]


def first_schema() -> list[str]:
    """The statements for a new queue file, beside the log's own."""
    return [
        *schema(),
        CHECKPOINT,
        f"INSERT INTO checkpoint VALUES ('{DEFINITION}', 1, 0)",
    ]


def ensure_checkpoint(tx: Writer) -> None:
    """Make the row that says that there is nothing, where someone took the table away."""
    if not tx.query("SELECT 1 FROM sqlite_schema WHERE name = 'checkpoint'"):
        tx.execute(CHECKPOINT)
        tx.execute("INSERT INTO checkpoint VALUES ('', 0, 0)")


class Checkpoint(NamedTuple):
    """What the live tables are."""

    definition: str
    generation: int
    position: int


def checkpoint(tx: Reader) -> Checkpoint:
    """The one row of `checkpoint`."""
    return Checkpoint(*tx.query("SELECT definition, generation, position FROM checkpoint")[0])


def freshness(checkpoint: Checkpoint) -> Literal["current", "stale", "newer"]:
    """How the tables compare with what this version derives."""
    if checkpoint.definition == DEFINITION:
        return "current"
    known = _versions(DEFINITION)
    found_versions = _versions(checkpoint.definition)
    newer = any(version > known.get(name, 0) for name, version in found_versions.items())
    return "newer" if newer else "stale"


def _versions(definition: str) -> dict[str, int]:
    pairs = (part.split("=") for part in definition.split())
    return {name: int(version) for name, version in pairs}
