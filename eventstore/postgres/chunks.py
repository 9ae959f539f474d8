"""Long outputs on a server: the pieces that the machines of the workers have sent."""

from collections.abc import Callable, Iterator

from ..output_files import ALL_SENT, READ_BYTES, Piece
from ..store import Bindings, Row
from .connecting import Connection
from .sent_files import Parcel

CHUNK_BYTES = READ_BYTES
"""The most bytes in one row."""

BATCH_BYTES, BATCH_PIECES = 8 * CHUNK_BYTES, 256
"""The most to send in one transaction."""

_PAGE, _END = 16, 2**62

# By the primary key: a row that reaches beyond :since begins at most CHUNK_BYTES before it.
CHUNKS = f"""
    SELECT since, data FROM output_chunks
     WHERE job = :job AND attempt = :attempt
       AND since > :since - {CHUNK_BYTES} AND since + length(data) > :since
     ORDER BY since LIMIT {_PAGE}"""

# By the primary key. The length of a value is known without reading it.
ARRIVED = f"""
    SELECT CAST(sum(length(data)) AS BIGINT) FROM output_chunks
     WHERE job = :job AND attempt = :attempt HAVING bool_or(since = {ALL_SENT})"""

BEGIN = """
    BEGIN;
    SET LOCAL search_path = {schema}, pg_temp;
    SET LOCAL synchronous_commit = off"""

DELETE = """
    DELETE FROM output_chunks
     WHERE job = %s AND attempt = %s AND since >= %s AND since < %s"""

INSERT = "INSERT INTO output_chunks (job, attempt, since, data) VALUES (%s, %s, %s, %s)"

# The output of these attempts is stored with their result. Their worker died in between.
TIDY = """
    DELETE FROM {schema}.output_chunks AS chunks USING {schema}.outputs
     WHERE outputs.job = chunks.job AND outputs.attempt = chunks.attempt
       AND outputs.kept IS NOT NULL"""

Query = Callable[[str, Bindings], list[Row]]


def chunks(query: Query, job_id: str, attempt: int, since: int) -> Iterator[Piece]:
    """Yield the pieces of an attempt's output that have arrived, in order, from this offset on.

    query: runs a query on the server.
    """
    while True:
        rows = query(CHUNKS, {"job": job_id, "attempt": attempt, "since": since})
        for offset, data in rows:
            at = max(offset, since)
            piece = Piece(at, data[at - offset :], at - since)
            yield piece
            since = piece.end
        if len(rows) < _PAGE:
            return


def has_arrived(query: Query, job_id: str, attempt: int, kept_bytes: int) -> bool:
    """Return whether all of an output was sent, and all of that is there."""
    return query(ARRIVED, {"job": job_id, "attempt": attempt}) == [(kept_bytes,)]


def tidy(connection: Connection, quoted_schema: str) -> None:
    """Delete the pieces of outputs that are stored with their result."""
    connection.execute(TIDY.format(schema=quoted_schema).encode())


class Batch:
    """Changes of the pieces of several outputs, in one transaction."""

    def __init__(self, connection: Connection, quoted_schema: str, announcement: list[str]) -> None:
        """announcement: statements that wake those who follow the outputs."""
        self._connection, self._schema = connection, quoted_schema
        self._announcement = announcement
        self._deletions: list[tuple[str, int, int, int]] = []
        self._insertions: list[tuple[str, int, int, bytes]] = []
        self._ends: dict[Parcel, int] = {}
        """The offset up to which each output was sent, after the transaction."""
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it is large enough to be sent."""
        return self._size_bytes >= BATCH_BYTES or len(self._insertions) >= BATCH_PIECES

    def delete_all(self, parcel: Parcel) -> None:
        """Delete all pieces of an output, if any may have been sent."""
        if parcel.was_tried:
            self._delete(parcel, ALL_SENT, _END)

    def trim(self, parcel: Parcel, gaps: list[tuple[int, int]]) -> None:
        """Delete the pieces that were dropped from the files, because later ones needed the room.

        gaps: the parts that the files lack.
        """
        for begin, end in gaps:
            if begin < parcel.sent:
                self._delete(parcel, begin, end)

    def insert(self, parcel: Parcel, piece: Piece) -> None:
        """Store a piece of at most CHUNK_BYTES."""
        if not parcel.is_certain and parcel not in self._ends:
            self._delete(parcel, parcel.sent, _END)
        self._insertions.append((parcel.job_id, parcel.attempt, piece.offset, piece.data))
        self._ends[parcel] = piece.end
        self._size_bytes += len(piece.data)

    def complete(self, parcel: Parcel) -> None:
        """Mark an output as sent completely."""
        self._delete(parcel, ALL_SENT, 0)
        self._insertions.append((parcel.job_id, parcel.attempt, ALL_SENT, b""))

    def send(self) -> None:
        """Run the transaction, and empty the batch. It is not synced to disk: the files are kept.

        Raises psycopg.Error.
        """
        for parcel in self._ends:
            parcel.was_tried = True
        if self._deletions or self._insertions:
            self._run()
        for parcel, end in self._ends.items():
            parcel.sent, parcel.is_certain = end, True
        self._deletions, self._insertions, self._ends, self._size_bytes = [], [], {}, 0

    def _run(self) -> None:
        self._connection.execute(BEGIN.format(schema=self._schema).encode())
        with self._connection.cursor() as cursor:
            if self._deletions:
                cursor.executemany(DELETE, self._deletions)
            if self._insertions:
                cursor.executemany(INSERT, self._insertions)
        self._connection.execute("; ".join((*self._announcement, "COMMIT")).encode())

    def _delete(self, parcel: Parcel, begin: int, end: int) -> None:
        """Delete the pieces that begin at these offsets, the last one excluded."""
        self._deletions.append((parcel.job_id, parcel.attempt, begin, end))
