"""The names of the files and folders that belong to a queue file."""

import os

PARTS = ("-wal", "-shm", "-journal", ".d")
"""Suffixes of the queue file's path that SQLite and this program use for its parts."""


def real_name(path: str) -> str:
    """Return the path with the links of its folder resolved, but not the file itself if a link."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def whole_of(path: str) -> str | None:
    """Return the existing file of which a file at `path` would be a part; None if there is none."""
    for suffix in PARTS:
        whole = path.removesuffix(suffix)
        if whole != path and os.path.lexists(whole):
            return whole
    return None
