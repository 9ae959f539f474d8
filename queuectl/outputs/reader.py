"""Read the output of an attempt from the database or from its files, also while it runs."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eventstore.side_folder import SideFolder
from eventstore.store import StoredOutput

from .writer import folder_name

READ_BYTES = 65_536

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Piece(NamedTuple):
    """A contiguous piece of the output that was kept."""

    offset: int
    """Offset in the stream of the first byte."""
    data: bytes
    missing_bytes: int
    """Number of bytes directly before it that were not kept."""

    @property
    def end(self) -> int:
        """Offset in the stream after the last byte: pass it as `since` to read on."""
        return self.offset + len(self.data)


def kept_output(
    output: StoredOutput | None,
    side_folder: SideFolder | None,
    job_id: str,
    attempt: int,
    since: int = 0,
) -> Iterator[Piece]:
    """Return the kept output of an attempt from offset `since` on, in order.

    output: the attempt's row in the database; None while the attempt runs. side_folder: the folder
    that may hold the output's files; None if there is no queue file.
    """
    if output is not None and output.kept is not None:
        return piece_of(output.kept, since)
    folder = None if side_folder is None else side_folder.existing("outputs")
    in_files = pieces(folder, job_id, attempt, since)
    return in_files if output is None else pieces_before(in_files, output.total_bytes)


def pieces(folder: int | None, job_id: str, attempt: int, since: int = 0) -> Iterator[Piece]:
    """Yield what an attempt's files contain now from offset `since` on, in order.

    folder: descriptor of the folder of all outputs; None if there is none. To follow the output,
    call this again with the `end` of the last piece.
    """
    own = _open(folder_name(job_id, attempt), _FOLDER, folder)
    if own is None:
        return
    try:
        for offset in sorted(int(name) for name in os.listdir(own) if name.isdecimal()):
            for piece in _segment(own, offset, since):
                yield piece
                since = piece.end
    finally:
        os.close(own)


def piece_of(blob: bytes, since: int = 0) -> Iterator[Piece]:
    """Yield the output that is stored in the database, from offset `since` on."""
    if since < len(blob):
        yield Piece(since, blob[since:], 0)


def pieces_before(all_pieces: Iterable[Piece], end: int) -> Iterator[Piece]:
    """Yield the pieces up to offset `end`, the recorded size: later bytes in a file are foreign."""
    for piece in all_pieces:
        if piece.offset < end:
            yield piece._replace(data=piece.data[: end - piece.offset])


def last_lines(all_pieces: Iterable[Piece], lines: int) -> list[Piece]:
    """Return the pieces with the last `lines` lines; an incomplete last line counts."""
    nonempty = [piece for piece in all_pieces if piece.data]
    ignored = 1  # the line break at the very end does not begin another line
    for index in reversed(range(len(nonempty))):
        piece = nonempty[index]
        end = len(piece.data) - (ignored if piece.data.endswith(b"\n") else 0)
        ignored = 0
        while lines and (end := piece.data.rfind(b"\n", 0, end)) >= 0:
            lines -= 1
        if not lines:
            first = Piece(piece.offset + end + 1, piece.data[end + 1 :], 0)
            return [piece for piece in (first, *nonempty[index + 1 :]) if piece.data]
    return nonempty


def _segment(own: int, offset: int, since: int) -> Iterator[Piece]:
    file = _open(str(offset), _FILE, own)
    if file is None:
        return  # removed in the meantime, because newer output needed the room
    try:
        os.lseek(file, max(0, since - offset), os.SEEK_SET)
        at = max(since, offset)
        while data := os.read(file, READ_BYTES):
            yield Piece(at, data, at - since)
            since = at = at + len(data)
    except IsADirectoryError:
        return  # not a file of the writer
    finally:
        os.close(file)


def _open(name: str, flags: int, folder: int | None) -> int | None:
    try:
        return None if folder is None else os.open(name, flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
