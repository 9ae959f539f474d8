"""What an attempt has printed, from a byte on: out of the database, or while it still runs."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from eventstore.sqlite import outputs
from eventstore.sqlite.reader import SqliteReader
from queuectl.outputs.reader import Piece, kept_output
from queuectl.text.sizes import size

from .connections import Source

MOST_BYTES = 200_000
"""Shown on a page; the whole is a command or a link away."""


class Printed(NamedTuple):
    """A part of what an attempt printed. Offsets count all that it printed, kept or not."""

    pieces: list[Piece]

    @property
    def start(self) -> int:
        """Where the part begins."""
        return self.pieces[0].offset if self.pieces else 0

    @property
    def end(self) -> int:
        """Where it ends: ask for what comes after it from here."""
        return self.pieces[-1].end if self.pieces else 0

    @property
    def data(self) -> bytes:
        """The bytes, with a line where some were not kept."""
        return b"".join(_gap(piece) + piece.data for piece in self.pieces)

    @property
    def text(self) -> str:
        """As text: what is no UTF-8 shows as a replacement character."""
        return self.data.decode("utf-8", "replace")


def _gap(piece: Piece) -> bytes:
    if not piece.missing_bytes:
        return b""
    return f"\n[{size(piece.missing_bytes)} not kept]\n".encode()


def first(tx: SqliteReader, source: Source, job_id: str, attempt: int, since: int) -> Printed:
    """At most about MOST_BYTES from offset `since` on."""
    found: list[Piece] = []
    taken = 0
    for piece in _all(tx, source, job_id, attempt, since):
        piece = piece._replace(data=piece.data[: MOST_BYTES - taken])
        found.append(piece)
        taken += len(piece.data)
        if taken >= MOST_BYTES:
            break
    return Printed(found)


def last(
    tx: SqliteReader,
    source: Source,
    job_id: str,
    attempt: int,
    total: int | None,
    most: int = MOST_BYTES,
) -> Printed:
    """About the last `most` bytes. total: all that it printed; null while it runs."""
    since = max(0, (total or 0) - most)
    held: deque[Piece] = deque()
    taken = 0
    for piece in _all(tx, source, job_id, attempt, since):
        held.append(piece)
        taken += len(piece.data)
        while len(held) > 1 and taken - len(held[0].data) >= most:
            taken -= len(held.popleft().data)
    return Printed(list(held))


def parts(source: Source, job_id: str, attempt: int) -> Iterator[bytes]:
    """All of it, at most about MOST_BYTES at a time, as far as it has been printed."""
    since = 0
    while True:
        with source.read() as tx:
            part = first(tx, source, job_id, attempt, since)
        if part.end <= since:
            return
        yield part.data
        since = part.end


def end(tx: SqliteReader, source: Source, job_id: str, attempt: int, since: int) -> int:
    """Up to where the output is there by now, looked at from `since` on."""
    for piece in _all(tx, source, job_id, attempt, since):
        since = piece.end
    return since


def _all(
    tx: SqliteReader, source: Source, job_id: str, attempt: int, since: int
) -> Iterator[Piece]:
    store = source.reading().store
    side_folder = None if store is None else store.side_folder
    return kept_output(outputs.get(tx, job_id, attempt), side_folder, job_id, attempt, since)
