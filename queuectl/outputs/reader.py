"""Read the output of an attempt from the database or from its files, also while it runs."""

from collections.abc import Iterable, Iterator

from eventstore.output_files import Piece
from eventstore.store import Store, StoredOutput


def kept_output(
    output: StoredOutput | None, store: Store | None, job_id: str, attempt: int, from_byte: int = 0
) -> Iterator[Piece]:
    """Return the kept output of an attempt from offset `from_byte` on, in order.

    output: as stored with the attempt's end; None while the attempt runs. store: None if there is
    no queue. To follow the output, call this again with the `end` of the last piece.
    """
    if output is not None and output.kept is not None:
        return piece_of(output.kept, from_byte)
    in_files = iter(()) if store is None else store.pieces(job_id, attempt, from_byte)
    return in_files if output is None else pieces_before(in_files, output.total_bytes)


def piece_of(blob: bytes, from_byte: int = 0) -> Iterator[Piece]:
    """Yield the output that is stored in the database, from offset `from_byte` on: one piece.

    Yields nothing if the output ends before.
    """
    if from_byte < len(blob):
        yield Piece(from_byte, blob[from_byte:], missing_bytes=0)


def pieces_before(all_pieces: Iterable[Piece], end: int) -> Iterator[Piece]:
    """Yield the pieces up to offset `end`, the recorded size.

    Bytes after it were not written by this attempt.
    """
    for piece in all_pieces:
        if piece.offset < end:
            yield piece._replace(data=piece.data[: end - piece.offset])


def last_lines(all_pieces: Iterable[Piece], lines: int) -> list[Piece]:
    """Return the pieces with the last `lines` lines; an incomplete last line counts as a line."""
    nonempty = [piece for piece in all_pieces if piece.data]
    final_break = 1  # bytes to skip: the line break at the very end does not begin another line
    for index in reversed(range(len(nonempty))):
        piece = nonempty[index]
        end = len(piece.data) - (final_break if piece.data.endswith(b"\n") else 0)
        final_break = 0
        while lines and (end := piece.data.rfind(b"\n", 0, end)) >= 0:
            lines -= 1
        if not lines:
            first = Piece(piece.offset + end + 1, piece.data[end + 1 :], missing_bytes=0)
            return [piece for piece in (first, *nonempty[index + 1 :]) if piece.data]
    return nonempty
