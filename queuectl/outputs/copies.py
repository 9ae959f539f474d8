"""Copy the long outputs of attempts into the folder of a copy of the queue."""

import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import chain

from eventstore.output_files import Piece, Pieces, folder_name
from eventstore.syncing import sync

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""The flags to open a folder, but no link to one."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""The flags to create a file that does not exist, not even as a link."""


def copy_outputs(pieces: Pieces, attempts: Iterable[tuple[str, int]], into: str) -> set[str]:
    """Copy the long output of ended attempts, which no longer changes.

    pieces: returns the output of an attempt. attempts: job id and attempt number of each. into:
    path of the side folder to create. Returns the names of the folders that were written; an
    attempt without kept output gets no folder.
    """
    copied = set()
    for job_id, attempt in attempts:
        kept = pieces(job_id, attempt)
        if (first := next(kept, None)) is None:
            continue
        name = folder_name(job_id, attempt)
        for parent in (into, os.path.join(into, "outputs")):
            own_folder(parent)
        _write(chain((first,), kept), os.path.join(into, "outputs", name))
        copied.add(name)
    return copied


def own_folder(path: str) -> None:
    """Create a folder with permissions for this user only, unless the path exists."""
    if not os.path.lexists(path):
        os.mkdir(path, 0o700)


def _write(kept: Iterator[Piece], into: str) -> None:
    """Write pieces into a new folder: one file for each part of the output without a gap."""
    os.mkdir(into, 0o700)
    piece = next(kept, None)
    while piece is not None:
        end = piece.offset
        with open(os.open(os.path.join(into, str(end)), CREATE, 0o600), "wb") as file:
            while piece is not None and piece.offset == end:
                file.write(piece.data)
                end = piece.end
                piece = next(kept, None)
            file.flush()
            os.fsync(file.fileno())
    sync(into, FOLDER)


def clear(building: str) -> None:
    """Remove an unfinished copy: the database, its journals and its side folder.

    building: the temporary path of the database.
    """
    for path in (building, f"{building}-journal", f"{building}-wal"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    shutil.rmtree(f"{building}.d", ignore_errors=True)
