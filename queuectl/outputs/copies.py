"""Copy the long outputs of attempts, which are stored in files next to the queue file."""

import os
import shutil
from collections.abc import Iterable

from .writer import folder_name

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_outputs(source: int | None, named: Iterable[tuple[str, int]], into: str) -> set[str]:
    """Copy the files of ended attempts, which no longer change.

    source: descriptor of the folder of all outputs; None copies nothing. named: job id and attempt
    number of each. into: path of the side folder to create. Returns the names of the folders that
    were copied; an attempt whose files were removed has none.
    """
    if source is None:
        return set()
    copied = set()
    for job_id, attempt in named:
        name = folder_name(job_id, attempt)
        try:
            folder = os.open(name, FOLDER, dir_fd=source)
        except FileNotFoundError:
            continue
        try:
            for parent in (into, os.path.join(into, "outputs")):
                own_folder(parent)
            _copy_folder(folder, os.path.join(into, "outputs", name))
        finally:
            os.close(folder)
        copied.add(name)
    return copied


def own_folder(path: str) -> None:
    """Create a folder with permissions for this user only, unless the path exists."""
    if not os.path.lexists(path):
        os.mkdir(path, 0o700)


def _copy_folder(source: int, into: str) -> None:
    os.mkdir(into, 0o700)
    for name in os.listdir(source):
        with (
            open(os.open(name, _READ, dir_fd=source), "rb") as read,
            open(os.open(os.path.join(into, name), CREATE, 0o600), "wb") as written,
        ):
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
    sync(into, FOLDER)


def sync(path: str, flags: int = FOLDER) -> None:
    """Flush a file or folder to disk (fsync)."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
