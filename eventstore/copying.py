"""Copying a log and its short outputs, as they are stored, from any store into any other.

A page is one transaction of the target: its records, and the outputs of the attempts that end in
it. So a copy that was interrupted is a beginning of the log with all its outputs, and continues
where it ended.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from .chain import COLUMNS, first_break
from .errors import ChainBroken, OtherLog
from .log_reader import LAST, last_of
from .output_files import ALL_SENT
from .store import ENDS, Head, Log, OnProgress, Reader, Row

if TYPE_CHECKING:
    from .output_files import Piece

PAGE = 2_000
"""Records per transaction. Their outputs are in memory as well, at most some 20 MB."""

PIECES = 64
"""Pieces of a long output per transaction: at most 4 MiB."""

_COLUMNS = tuple(COLUMNS.split(", "))
_OUTPUT_COLUMNS = ("job", "attempt", "total_bytes", "kept")
_CHUNK_COLUMNS = ("job", "attempt", "since", "data")
_STREAM, _TYPE, _DATA = (_COLUMNS.index(name) for name in ("stream", "type", "data"))

# By the primary key.
OUTPUTS = """
    SELECT job, attempt, total_bytes, kept FROM outputs WHERE job IN ({among})"""

# Reads the whole table: a copy is read completely anyway.
IN_FILES = "SELECT job, attempt FROM outputs WHERE kept IS NULL AND total_bytes > 0"


class _End(msgspec.Struct):
    """The part that all events have that end an attempt."""

    attempt: int | None = None
    """Null for a job that was cancelled while it waited."""


_decode_end = msgspec.json.Decoder(_End).decode
_encode = msgspec.json.Encoder().encode


def copy_log(
    source: Log,
    target: Log,
    on_progress: OnProgress = lambda _, __: None,
    upto: int | None = None,
) -> None:
    """Copy what the target lacks of the source, up to this position.

    upto: None for the end of the source at the beginning. Each page is read in a snapshot of its
    own. Nobody else writes to the target. Raises OtherLog if the target is not a beginning of the
    source, and ChainBroken at a record that was changed.
    """
    end = source.head().position if upto is None else upto
    refuse_other_log(source, target)
    copied = target.head().position
    while copied < end:
        with source.read() as tx:
            copied = _copy_page(tx, target, copied, end)
        on_progress(copied, end)


def copy_rest(source: Reader, target: Log) -> Head:
    """Copy what the target lacks of this snapshot or transaction; return the head of both."""
    head, copied = source.head(), target.head().position
    while copied < head.position:
        copied = _copy_page(source, target, copied, head.position)
    if target.head() != head:
        raise OtherLog(target.label, copied)
    return head


def long_outputs(log: Log) -> list[tuple[str, int]]:
    """Return job and attempt of each output that is stored in files."""
    with log.read() as tx:
        return [(job, attempt) for job, attempt in tx.rows(IN_FILES)]


def send_output(job_id: str, attempt: int, kept: "Iterable[Piece]", target: Log) -> None:
    """Store a long output on a server, where all machines can read it."""
    pieces = iter(kept)
    while rows := [(job_id, attempt, piece.offset, piece.data) for piece in islice(pieces, PIECES)]:
        with target.write("") as tx:
            tx.fill("output_chunks", _CHUNK_COLUMNS, rows)
    with target.write("") as tx:
        tx.fill("output_chunks", _CHUNK_COLUMNS, [(job_id, attempt, ALL_SENT, b"")])


def remove_sent_outputs(target: Log) -> None:
    """Remove all long outputs from a server."""
    with target.write("") as tx:
        tx.execute("DELETE FROM output_chunks")


def refuse_other_log(source: Log, target: Log) -> None:
    """Raise OtherLog if the log of the target is not a beginning of that of the source."""
    head = target.head()
    if head.position:
        with source.read() as tx:
            if tx.hash_at(head.position) != head.hash:
                raise OtherLog(target.label, head.position)


def _copy_page(source: Reader, target: Log, after: int, upto: int) -> int:
    """Copy the next records and their outputs; return the position of the last one."""
    records = list(islice(source.records(after=after, upto=upto), PAGE))
    if not records:
        raise ChainBroken(after + 1, "missing at the end of the log")
    outputs = list(_outputs_of(source, records))
    with target.write("") as tx:
        position, hash_ = last_of(tx.query(LAST))
        if position != after:
            raise OtherLog(target.label, position)
        if broken := first_break(records, hash_, position):
            raise ChainBroken(*broken)
        tx.fill("events", _COLUMNS, records)
        tx.fill("outputs", _OUTPUT_COLUMNS, outputs)
    return int(records[-1][0])


def _outputs_of(source: Reader, records: list[Row]) -> Iterator[Row]:
    """Yield the stored outputs of the attempts that end in these records."""
    ended = {
        (record[_STREAM], _decode_end(record[_DATA]).attempt)
        for record in records
        if record[_TYPE] in ENDS
    }
    if ended:
        jobs = sorted({job for job, _ in ended})
        sql = OUTPUTS.format(among=source.dialect.among.format(parameter="jobs"))
        for row in source.rows(sql, {"jobs": _encode(jobs).decode()}):
            if (row[0], row[1]) in ended:
                yield row
