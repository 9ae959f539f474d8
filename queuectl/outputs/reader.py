"""What an attempt printed, read back: from the database or its files, also while it goes on."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eventstore.sqlite.outputs import StoredOutput
from eventstore.sqlite.side_folder import SideFolder

from .writer import folder_name

READ_BYTES = 65_536

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Piece(NamedTuple):
    """Output that was kept."""

    offset: int
    """Where in the stream it begins, in bytes."""
    data: bytes
    missing_bytes: int
    """How much just before it was not kept."""

    @property
    def end(self) -> int:
        """Where to go on: what follows is asked for by it."""
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
    """What stands in an attempt's files from offset `since` on, at this moment, in order.

    folder: descriptor of the folder of all outputs; None where there is none. To follow, ask again
    with the last piece's `end`.
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
    """The same for output that stands in the database."""
    if since < len(blob):
        yield Piece(since, blob[since:], 0)


def pieces_before(printed: Iterable[Piece], end: int) -> Iterator[Piece]:
    """The pieces up to offset `end`: what stands in a file beyond what was recorded is not it."""
    for piece in printed:
        if piece.offset < end:
            yield piece._replace(data=piece.data[: end - piece.offset])


def last_lines(printed: Iterable[Piece], lines: int) -> list[Piece]:
    """The pieces that hold the last `lines` lines; an incomplete last line is one, too."""
    held = [piece for piece in printed if piece.data]
    ignored = 1  # the line break that ends the last line begins no other
    for index in reversed(range(len(held))):
        piece = held[index]
        end = len(piece.data) - (ignored if piece.data.endswith(b"\n") else 0)
        ignored = 0
        while lines and (end := piece.data.rfind(b"\n", 0, end)) >= 0:
            lines -= 1
        if not lines:
            first = Piece(piece.offset + end + 1, piece.data[end + 1 :], 0)
            return [one for one in (first, *held[index + 1 :]) if one.data]
    return held


def _segment(own: int, offset: int, since: int) -> Iterator[Piece]:
    file = _open(str(offset), _FILE, own)
    if file is None:
        return  # dropped by now: the tail has moved on
    try:
        os.lseek(file, max(0, since - offset), os.SEEK_SET)
        at = max(since, offset)
        while data := os.read(file, READ_BYTES):
            yield Piece(at, data, at - since)
            since = at = at + len(data)
    except IsADirectoryError:
        return  # not of our making
    finally:
        os.close(file)


def _open(name: str, flags: int, folder: int | None) -> int | None:
    try:
        return None if folder is None else os.open(name, flags, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
