"""Which file a -wal belongs to: SQLite pairs them by name, so another file would take it over.

Both carry an extended attribute with the same random text, and each its own inode in front of that:
a copy has another inode, and is not held to what was copied with it. On file systems without
extended attributes nothing is recorded and nothing is refused.
"""

import os

from ..errors import OtherWal

_ATTRIBUTE = "user.queuectl.wal"
_SUPPORTED = hasattr(os, "getxattr")


def refuse_other_wal(path: str) -> None:
    """Raise OtherWal if the -wal beside the file at `path` was written for another file."""
    if (owner := _recorded(f"{path}-wal")) is not None and owner != _recorded(path):
        raise OtherWal(path)


def record_wal(path: str) -> None:
    """Record that the -wal belongs to the file. Call it with the write lock held.

    Before the first frame is written: a -wal with frames of ours must not lack the record.
    """
    if not _SUPPORTED:
        return
    owner = _recorded(path)
    if owner is not None and owner == _recorded(f"{path}-wal"):
        return
    owner = owner or os.urandom(8).hex()
    try:
        for file in (path, f"{path}-wal"):  # a -wal never names a file that does not know it
            os.setxattr(file, _ATTRIBUTE, f"{os.stat(file).st_ino} {owner}".encode())
    except OSError:
        return


def _recorded(file: str) -> str | None:
    """The random text in the attribute; None if there is none, or it was copied from elsewhere."""
    if not _SUPPORTED:
        return None
    try:
        inode, _, owner = os.getxattr(file, _ATTRIBUTE).decode().partition(" ")
        return owner if inode == str(os.stat(file).st_ino) else None
    except (OSError, ValueError):
        return None
