"""The names of the files and folders that belong to a queue file."""

import os
import re
from collections.abc import Iterable

from .errors import ForeignFile
from .file_identity import file_identity

PARTS = ("-wal", "-shm", "-journal", ".d")
"""SQLite and this program add these suffixes to the path of a queue file to name its parts."""


_TEMPORARY = r"\.[0-9a-f]{12}\.new"
"""The suffix of the temporary name that a queue file has while it is created."""


def temporary_names(path: str) -> list[str]:
    """Return the paths of the temporary names that a file still has: its creator was killed."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(name) + _TEMPORARY)
    try:
        names = [entry for entry in os.listdir(folder) if pattern.fullmatch(entry)]
    except OSError:
        return []
    identity = file_identity(path)
    paths = [os.path.join(folder, entry) for entry in names]
    return [entry for entry in paths if file_identity(entry) == identity is not None]


def real_name(path: str) -> str:
    """Return the path with the links in its folder resolved.

    The file itself may still be a link.
    """
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def whole_of(path: str) -> str | None:
    """Return the existing file to which a file at `path` would belong, by its name, or None."""
    for suffix in PARTS:
        whole = path.removesuffix(suffix)
        if whole != path and os.path.lexists(whole):
            return whole
    return None


def refuse_part(path: str) -> None:
    """Raise ForeignFile if a new file at `path` would have the name of a part of another file."""
    if not os.path.lexists(path) and (whole := whole_of(path)) is not None:
        raise ForeignFile(path, f"would be taken for a part of {os.path.basename(whole)}")


def part_of_any(file: str, queue_files: Iterable[str]) -> str | None:
    """Return why `file` must not be written: it is one of these queue files, or a part of one.

    None if it may be written.
    """
    path = real_name(file)
    for queue_file in queue_files:
        name = os.path.basename(queue_file)
        if (
            path == real_name(queue_file)
            or file_identity(file) == file_identity(queue_file) is not None
        ):
            return f"it is the same file as {name}"
        if path.startswith(f"{real_name(queue_file)}.d/"):
            return f"it is in the folder {name}.d"
        if path.removeprefix(real_name(queue_file)) in PARTS:
            return f"it would be taken for a part of {name}"
    whole = whole_of(file)
    return f"it would be taken for a part of {os.path.basename(whole)}" if whole else None
