"""The names of the parts beside a queue file."""

import os

PARTS = ("-wal", "-shm", "-journal", ".d")
"""What SQLite and we append to the path of a queue file to name the parts beside it."""


def real_name(path: str) -> str:
    """The path with the links of its folder resolved, but not a link that is the file itself."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def whole_of(path: str) -> str | None:
    """The existing file that a file of this name would be taken for a part of; None if none is."""
    for suffix in PARTS:
        whole = path.removesuffix(suffix)
        if whole != path and os.path.lexists(whole):
            return whole
    return None
