"""Appending events: versions, places and hashes of the records of one write transaction.

All stores share this; each inserts the records in its own way.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator

from . import codec
from .chain import hash_of
from .errors import StreamConflict
from .events.fact import Fact, kebab
from .events.log import LogMoved
from .events.recorded import Recorded
from .log_reader import LogReader
from .store import Bindings, Row

RECORDS_PER_INSERT = 1_000
"""Records are inserted together once this many are buffered."""

_MOVED = kebab(LogMoved.__name__)

# By the primary key.
PUT_OUTPUT = """
    INSERT INTO outputs (job, attempt, total_bytes, kept)
    VALUES (:job, :attempt, :total_bytes, :kept)
    ON CONFLICT (job, attempt)
    DO UPDATE SET total_bytes = excluded.total_bytes, kept = excluded.kept"""


class Appending(LogReader):
    """A write transaction: its records are buffered until the store inserts them.

    They are inserted before each other statement, so that it sees all of them. A store derives its
    transaction from this class and from its reader, in this order.
    """

    def __init__(
        self, actor: str, now_us: int, last: tuple[int, bytes], last_type: str | None
    ) -> None:
        """last: position and hash of the last record of the log. last_type: None if it is empty."""
        self.actor, self.now_us, self.moved = actor, now_us, last_type == _MOVED
        self._position, self._hash = last
        self._batch = self._position + 1
        self._held: list[Row] = []
        self._versions: dict[str, int] = {}
        self._expected: list[tuple[str, int]] = []
        """Streams and the versions that the writer expects, not yet compared with the log."""

    @abstractmethod
    def _insert(self, records: list[Row], expected: list[tuple[str, int]]) -> None:
        """Insert records, and compare the expected versions of their streams with the log.

        A version in the log counts only if it is from before this transaction. Raises
        StreamConflict.
        """

    @abstractmethod
    def execute(self, sql: str, bindings: Bindings = ()) -> None:
        """Run one statement."""

    def query(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows of a statement."""
        self.flush()
        return super().query(sql, bindings)  # type: ignore[safe-super] # that of the store's reader

    def rows(self, sql: str, bindings: Bindings = ()) -> Iterator[Row]:
        """Iterate over the rows of a statement, in constant memory."""
        self.flush()
        return super().rows(sql, bindings)  # type: ignore[safe-super]

    def keep_output(self, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
        """Store the output of an attempt, in the transaction that records its end.

        kept: None if it is stored in files.
        """
        values = {"job": job_id, "attempt": attempt, "total_bytes": total_bytes, "kept": kept}
        self.execute(PUT_OUTPUT, values)

    @property
    def appended(self) -> bool:
        """True if at least one event was appended."""
        return bool(self._position >= self._batch)

    @property
    def last(self) -> tuple[int, bytes]:
        """Position and hash of the last record, including those of this transaction."""
        return self._position, self._hash

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
        caused by the previous one. actor: if it differs from that of the transaction.

        Raises StreamConflict (possibly later, when buffered records are inserted), or ChainBroken
        if the encoded event cannot be decoded again. Nothing is written in both cases.
        """
        self._expect(stream, expected_version)
        recorded = []
        version = expected_version
        for event in events:
            version += 1
            recorded.append(self._add(stream, version, event, cause, actor or self.actor))
            cause = self._position
        self._versions[stream] = version
        if len(self._held) >= RECORDS_PER_INSERT:
            self.flush()
        return recorded

    def flush(self) -> None:
        """Insert the buffered records."""
        if not self._held:
            return
        held, self._held = self._held, []
        expected, self._expected = self._expected, []
        self._insert(held, expected)

    def _expect(self, stream: str, version: int) -> None:
        """Check the version of a stream that this transaction wrote to; note others for `flush`."""
        current = self._versions.get(stream)
        if current is None:
            self._expected.append((stream, version))
        elif current != version:
            raise StreamConflict(stream, version, current)

    def _add(
        self, stream: str, version: int, event: Fact, cause: int | None, actor: str
    ) -> Recorded:
        position, data, kind = self._position + 1, codec.encode(event), codec.type_of(event)
        codec.decode(position, kind, data)  # an unreadable event could never be removed again
        row = (position, stream, version, kind, self.now_us, actor, self._batch, cause, data)
        self._hash = hash_of(self._hash, row)
        self._position = position
        self._held.append((*row, self._hash))
        return Recorded(*row, self._hash, event)  # type: ignore[arg-type]
