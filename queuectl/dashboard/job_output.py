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
"""Bytes of an output in one page or one answer, approximately."""


class Printed(NamedTuple):
    """A part of an attempt's output. Offsets count all bytes printed, kept or not."""

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
        """The bytes, with a line of text for each gap that was not kept."""
        return b"".join(_gap(piece) + piece.data for piece in self.pieces)

    @property
    def text(self) -> str:
        """The data as text; bytes that are not UTF-8 become replacement characters."""
        return self.data.decode("utf-8", "replace")


def _gap(piece: Piece) -> bytes:
    if not piece.missing_bytes:
        return b""
    return f"\n[{size(piece.missing_bytes)} not kept]\n".encode()


def first_part(tx: Reader, source: Source, job_id: str, attempt: int, since: int) -> Printed:
    """Return at most MAX_BYTES from offset `since` on."""
    part: list[Piece] = []
    size_bytes = 0
    for piece in _all(tx, source, job_id, attempt, since):
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
    """Return about the last `most` bytes.

    total: number of bytes that the attempt printed; None while it runs.
    """
    since = max(0, (total or 0) - most)
    part: deque[Piece] = deque()
    size_bytes = 0
    for piece in _all(tx, source, job_id, attempt, since):
        part.append(piece)
        size_bytes += len(piece.data)
        while len(part) > 1 and size_bytes - len(part[0].data) >= most:
            size_bytes -= len(part.popleft().data)
    return Printed(list(part))


def all_parts(source: Source, job_id: str, attempt: int) -> Iterator[bytes]:
    """Yield the whole output printed so far, at most MAX_BYTES at a time."""
    since = 0
    while True:
        with source.read() as tx:
            part = first_part(tx, source, job_id, attempt, since)
        if part.end <= since:
            return
        yield part.data
        since = part.end


def end_offset(tx: Reader, source: Source, job_id: str, attempt: int, since: int) -> int:
    """Return the offset up to which the output is kept now. since: an offset known to be kept."""
    for piece in _all(tx, source, job_id, attempt, since):
        since = piece.end
    return since


def _all(tx: Reader, source: Source, job_id: str, attempt: int, since: int) -> Iterator[Piece]:
    store = source.reading().store
    return kept_output(tx.output(job_id, attempt), store, job_id, attempt, since)
