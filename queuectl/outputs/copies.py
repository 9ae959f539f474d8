"""Copies of the long outputs of attempts, which are stored in files beside a queue."""

import os
import shutil
from collections.abc import Iterable

from .writer import folder_name

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_outputs(source: int | None, named: Iterable[tuple[str, int]], into: str) -> set[str]:
    """Copy the files of these attempts, which have ended: no byte of them changes any more.

    source: descriptor of the folder of all outputs; None copies nothing. into: the side folder to
    create. Returns the folders of those that had any: someone may have removed files.
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
    """Create a folder of this user alone, if there is none."""
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
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear(building: str) -> None:
    """Remove what was left under a temporary name."""
    for path in (building, f"{building}-journal"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    shutil.rmtree(f"{building}.d", ignore_errors=True)
