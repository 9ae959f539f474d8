"""The types that all stores have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from .chain import Break, RawRecord
from .dialect import Dialect
from .events.fact import Fact
from .events.recorded import Recorded
from .tables import Statement

if TYPE_CHECKING:
    from .lock import Lock
    from .output_files import OutputFiles, Piece
    from .side_folder import SideFolder

PATIENCE_S = 75.0
"""How long a write transaction waits for another writer, by default."""

Bindings = Mapping[str, Any] | tuple[Any, ...]
Row = tuple[Any, ...]


class Query(NamedTuple):
    """A query that is sent together with others."""

    sql: str
    bindings: Bindings = ()


Ahead = Callable[[], Iterable[Query]]
"""Returns the queries that will be needed. Only a store on a server calls it."""

Schema = Callable[[Dialect], Iterable[str]]
"""Returns the statements that create tables next to the log."""

ENDS = ("succeeded", "failed", "cancelled")
"""Types of the events that end an attempt, and record its output."""

RingsFor = Literal["work", "everything"]
"""When a bell rings: for the events that workers wait for (a store may ring for others too), or for
each commit.
"""

OnProgress = Callable[[int, int], None]
"""Called regularly during a long operation. Arguments: the amount done, and the total."""


class Head(NamedTuple):
    """The last record of the log.

    If a head is kept elsewhere, it proves later changes of the log.
    """

    position: int
    """0 means that the log is empty."""
    hash: str
    """In hexadecimal."""


class RecordedOutput(NamedTuple):
    """The output of an attempt: the facts in the log, and the data in the database."""

    position: int
    """Position of the event that recorded it."""
    job: str
    attempt: int
    kept_bytes: int | None
    """None if nothing was kept."""
    sha256: str | None
    """Hex digest of the kept bytes."""
    total_bytes: int | None
    """Size of the whole output, as stored; None if nothing is stored."""
    kept: bytes | None
    """The stored bytes; None if they are in files, or nothing is stored."""


class StoredOutput(NamedTuple):
    """The output of an attempt, or its size if it is stored in files."""

    total_bytes: int
    """Size of the whole output."""
    kept: bytes | None
    """The part that was kept; None if it is stored in files."""


class Reader(Protocol):
    """A snapshot of the database: all its queries see the same state."""

    @property
    def dialect(self) -> Dialect:
        """The SQL texts of this database that differ from those of others."""

    def tables(self) -> dict[str, list[str]]:
        """Return the names of the columns, in order, by name of the table."""

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""

    def recorded_outputs(self) -> Iterator[RecordedOutput]:
        """Iterate over the outputs that the log recorded, in the order of the log."""

    def unrecorded_outputs(self) -> Iterator[tuple[str, int]]:
        """Iterate over the stored outputs (job and attempt) that no event recorded."""

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Iterate over the events with `after` < position <= `upto`, in order of position.

        stream: the only stream to read; None for all.
        """

    def newest(self, stream: str, limit: int, before: int | None = None) -> list[Recorded]:
        """Return at most `limit` events of a stream, newest first, with position < `before`."""

    def raw(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[RawRecord]:
        """Return the records of the same events as `events`, not decoded."""

    def records(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Row]:
        """Return the records of `raw` as plain tuples, which are faster to read."""

    def head(self) -> Head:
        """Return the position and hash of the last record."""

    def output(self, job_id: str, attempt: int) -> StoredOutput | None:
        """Return the stored output of an attempt; None if there is none."""

    def hash_at(self, position: int) -> str | None:
        """Return the hash of a record in hexadecimal; None if there is none at this position."""

    def records_until_damage(self) -> Iterator[Row]:
        """Iterate over all records. Raises ChainBroken at the first that cannot be read."""

    def unindexed(self) -> Break | None:
        """Return the first record that is missing from the index of streams; None if none is.

        The hash chain does not detect this, and `events` of one stream are read by this index.
        """

    def missing_guards(self) -> tuple[str, ...]:
        """Return the names of the triggers that protect the log and are missing or changed."""

    def excess_rights(self) -> tuple[str, ...]:
        """Return who may do more to the log than append, beyond its owner and superusers.

        In words: `bob may DELETE, UPDATE`. Always empty for a file, which has one owner.
        """

    def damage(self) -> str | None:
        """Return a description of the first damaged page or row; None if there is none."""


class Writer(Reader, Protocol):
    """A write transaction: all its events and changes are stored together, or none of them."""

    actor: str
    """The name that is recorded with the events."""
    now_us: int
    """The time of the transaction and of its records, by the store's clock: UTC, microseconds."""
    commit: Callable[[], None]
    """Commits the transaction; call it once. It is set when the block of the transaction ends."""

    moved: bool
    """True if the log continues in another place: its last event says so, and none may follow."""

    @property
    def appended(self) -> bool:
        """True if at least one event was appended."""

    @property
    def last(self) -> tuple[int, bytes]:
        """Position and hash of the last record, including those of this transaction."""

    def append(
        self,
        stream: str,
        expected_version: int,
        events: Iterable[Fact],
        *,
        cause: int | None = None,
        actor: str | None = None,
    ) -> list[Recorded]:
        """Append `events` to the log and return them with their places in it.

        expected_version: version of the stream's last event that the writer knows, 0 for a new
        stream. cause: position of the event that caused the first of them; each further event is
        caused by the previous one. actor: None for that of the transaction.

        Raises StreamConflict (possibly later, when buffered records are inserted), or ChainBroken
        if the encoded event cannot be decoded again. Nothing is written in both cases.
        """

    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""

    def write(self, statement: Statement, rows: Sequence[Row], table: str) -> None:
        """Carry out a statement once for each row. table: the name of the table to change."""

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Insert many rows in the fastest way. columns: the columns of the values in each row."""

    def rename(self, names: Mapping[str, str]) -> bool:
        """Rename tables, from the keys to the values, in order and all at once for other processes.

        Return False, and change nothing, if snapshots of other processes still use the old tables.
        """

    def keep_output(self, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
        """Store the output of an attempt, in the transaction that records its end.

        kept: None if it is stored in files.
        """

    def take_lease(self, worker_id: str, nonce: int | None) -> bool:
        """End the lease of a worker, if it has not beaten since; return whether it is ended.

        nonce: the last one that was seen; None for any. In a file there are no leases, and it is
        always true.
        """


class Doorbell(Protocol):
    """A listener's bell: `fileno()` is readable once the log may have grown since `drain()`."""

    def fileno(self) -> int:
        """Return the descriptor to select on for reading."""

    def drain(self) -> None:
        """Discard all rings so far. Read the log after this call, never before."""

    def close(self) -> None:
        """Remove the bell."""


class GuardedDoorbell(Doorbell, Protocol):
    """A bell that is created again when it is removed."""

    def check(self) -> None:
        """Create the bell again if it is missing. If that fails, the next check tries again."""


class Lives(Protocol):
    """The leases of the workers on a server, by a connection of their own.

    Each call waits at most some seconds for the server. All raise Away, and connect again at the
    next call. See docs/decisions/0019.
    """

    def begin(self, worker_id: str, nonce: int) -> None:
        """Begin the lease of a worker. Raises NotAllowed."""

    def beat(self, worker_id: str, nonce: int) -> dict[str, int] | None:
        """Show that a worker lives, and return the nonces of all workers.

        nonce: a random number, in place of the last one. None if another worker has taken it over.
        """

    def end(self, worker_id: str) -> None:
        """End the lease of a worker that has ended."""

    def close(self) -> None:
        """Close the connection."""


class Log(Protocol):
    """An open log, with its tables. It belongs to one thread, and has one transaction at a time.

    The commit of a write transaction may run in another thread; until that has returned, the store
    must not be used. See docs/decisions/0010.
    """

    label: str
    """The place of the queue, for people."""
    key: str
    """Identifies this queue: no other queue, and no copy of it, has the same key."""
    queue_id: str
    """Also identifies it; but on a server, a copy has the same id."""
    readonly: bool
    settles_within_s: float
    """How long the outcome of a commit is looked for if the server goes away during it."""
    distant: bool
    """True if each statement is a message to a server: then a few large ones are faster."""

    def read(self, ahead: Ahead = tuple) -> AbstractContextManager[Reader]:
        """Return a snapshot of the queue that is valid until the block ends.

        ahead: returns queries that will be needed; on a server they are run with the beginning.
        Raises TransactionOpen if a transaction of this store is open.
        """

    def read_log(self) -> AbstractContextManager[Reader]:
        """Return a reader of the log and the outputs, for as long as a check of all of it takes.

        On a server, it holds nothing back for that time, as a snapshot would; so it may see events
        that are appended during that time.
        """

    def write(self, actor: str, patience_s: float = PATIENCE_S) -> AbstractContextManager[Writer]:
        """Run one write transaction, commit it when the block ends, and ring all doorbells.

        actor: who writes. patience_s: how long to wait for another writer. Raises Busy, Full,
        ReadOnly, Gone, StorageFailed or TransactionOpen if nothing was written, or OutcomeUnknown.
        """

    def prepare(
        self, actor: str, patience_s: float = PATIENCE_S, ahead: Ahead = tuple
    ) -> AbstractContextManager[Writer]:
        """Run one write transaction up to its commit, which the caller runs: `transaction.commit`.

        Until the commit has returned or raised, nothing else may use this store. ahead: as for
        `read`. Other parameters and errors are those of `write`.
        """

    def head(self) -> Head:
        """Return the position and hash of the last record."""

    def wall_us(self) -> int:
        """Return the time by the store's clock: UTC, microseconds. Raises Away."""

    def refuse_moving(self) -> None:
        """Raise NotAllowed if this user may not move the queue to another place."""

    def maintain(self) -> AbstractContextManager[Writer]:
        """Return a write transaction that changes tables, and appends no events.

        The tables that it creates belong to the owner of the queue. Raises NotAllowed if this user
        may not act as the owner, and the errors of `write`.
        """

    def alone(self, task: str) -> AbstractContextManager[bool]:
        """Yield True if no other process, on any machine, does this task during the block.

        It ends with this process, or with its connection to the server: a long task must notice
        in its transactions that another process has begun it as well.
        """

    def close(self) -> None:
        """Close the queue."""


class Store(Log, Protocol):
    """An open queue: its log, and what the processes of this machine share."""

    side_folder: "SideFolder"
    """This machine's folder of the queue."""
    own_commits_ring: bool
    """Whether each commit rings also the bell of the process that has made it."""

    def output_files(self, job_id: str, attempt: int, limit_bytes: int) -> "OutputFiles":
        """Return the files for an attempt's long output; they are created by the first write."""

    def pieces(self, job_id: str, attempt: int, since: int = 0) -> Iterator["Piece"]:
        """Yield the pieces of an attempt's long output that are kept now, in order.

        since: the offset in bytes at which to begin.
        """

    def writes_here(self, job_id: str, attempt: int) -> bool:
        """Return whether this machine has the files of an attempt's long output."""

    def has_all(self, job_id: str, attempt: int, kept_bytes: int) -> bool:
        """Return whether all that was kept of an attempt's long output can be read here now.

        If it was written on another machine, a part of it may not have arrived.
        """

    def follow_output(self, job_id: str, attempt: int) -> None:
        """Let another machine send the output of a running attempt when it is printed.

        Call it regularly. It does nothing for an attempt on this machine.
        """

    def lock(self, name: str) -> "Lock":
        """Return the lock with this name; it is not acquired yet."""

    def last_beats(self) -> dict[str, int]:
        """Return when each worker on a server last showed that it lives; empty for a file.

        UTC, microseconds, by the server's clock. Only for people: a takeover does not rely on it.
        It may be called inside a transaction.
        """

    def lives(self) -> Lives | None:
        """Return the leases of the workers; None if the locks of the kernel are enough.

        They may be used by one other thread, which then closes them.
        """

    def doorbell(self) -> Doorbell:
        """Return a new doorbell for this process."""

    def guarded_doorbell(self, rings_for: RingsFor = "everything") -> GuardedDoorbell:
        """Return a new doorbell that is created again if another program removes it."""

    def listeners(self) -> set[int]:
        """Return the pids of the processes on this machine that have a doorbell."""

    def ring(self) -> None:
        """Wake all listeners. Never fails."""

    def has_open(self, pid: int) -> bool:
        """Return True if a process of this machine has this queue open, not a copy of it.

        False if its open files may not be read.
        """

    def refuse_gone(self) -> None:
        """Raise Gone if the queue's place now leads to another queue, or to none."""
