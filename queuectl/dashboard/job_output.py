"""Parts of an attempt's output for the pages, also while the attempt runs."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from eventstore.output_files import Piece
from eventstore.store import Reader
from queuectl.outputs.reader import kept_output
from queuectl.text.sizes import size

from .connections import Source

MAX_BYTES = 200_000
"""The maximum number of output bytes in one page or one answer, approximately."""


class Printed(NamedTuple):
    """A part of an attempt's output. Offsets also count printed bytes that were not kept."""

    pieces: list[Piece]

    @property
    def start(self) -> int:
        """The offset of the first byte."""
        return self.pieces[0].offset if self.pieces else 0

    @property
    def end(self) -> int:
        """The offset after the last byte, where the next part begins."""
        return self.pieces[-1].end if self.pieces else 0

    @property
    def data(self) -> bytes:
        """The bytes, with a line of text in place of each gap, whose bytes were not kept."""
        return b"".join(_gap(piece) + piece.data for piece in self.pieces)

    @property
    def text(self) -> str:
        """The data as text; bytes that are not UTF-8 become replacement characters."""
        return self.data.decode("utf-8", "replace")


def _gap(piece: Piece) -> bytes:
    if not piece.missing_bytes:
        return b""
    return f"\n[{size(piece.missing_bytes)} not kept]\n".encode()


def first_part(tx: Reader, source: Source, job_id: str, attempt: int, from_byte: int) -> Printed:
    """Return the output from offset `from_byte` on, at most MAX_BYTES."""
    part: list[Piece] = []
    size_bytes = 0
    for piece in _pieces_from(tx, source, job_id, attempt, from_byte):
        piece = piece._replace(data=piece.data[: MAX_BYTES - size_bytes])
        part.append(piece)
        size_bytes += len(piece.data)
        if size_bytes >= MAX_BYTES:
            break
    return Printed(part)


def last_part(
    tx: Reader,
    source: Source,
    job_id: str,
    attempt: int,
    total: int | None,
    most: int = MAX_BYTES,
) -> Printed:
    """Return about the last `most` bytes of the output.

    total: number of bytes that the attempt printed; None while it runs.
    """
    from_byte = max(0, (total or 0) - most)
    part: deque[Piece] = deque()
    size_bytes = 0
    for piece in _pieces_from(tx, source, job_id, attempt, from_byte):
        part.append(piece)
        size_bytes += len(piece.data)
        while len(part) > 1 and size_bytes - len(part[0].data) >= most:
            size_bytes -= len(part.popleft().data)
    return Printed(list(part))


def all_parts(source: Source, job_id: str, attempt: int) -> Iterator[bytes]:
    """Yield the whole output that was printed so far, at most MAX_BYTES at a time."""
    from_byte = 0
    while True:
        with source.read() as tx:
            part = first_part(tx, source, job_id, attempt, from_byte)
        if part.end <= from_byte:
            return
        yield part.data
        from_byte = part.end


def end_offset(tx: Reader, source: Source, job_id: str, attempt: int, from_byte: int) -> int:
    """Return the offset after the last byte that is kept now.

    from_byte: the offset where the search begins; returned if nothing follows it.
    """
    for piece in _pieces_from(tx, source, job_id, attempt, from_byte):
        from_byte = piece.end
    return from_byte


def _pieces_from(
    tx: Reader, source: Source, job_id: str, attempt: int, from_byte: int
) -> Iterator[Piece]:
    store = source.reading().store
    return kept_output(tx.output(job_id, attempt), store, job_id, attempt, from_byte)
