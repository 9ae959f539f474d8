"""Recording to which file a -wal belongs: SQLite would use it for any other file of that name.

The file and its -wal each have an extended attribute: their own inode number and a random text that
is the same for both. A copy has another inode, so that its attribute is ignored. On file systems
without extended attributes nothing is recorded and nothing is refused.
"""

import os

from ..errors import OtherWal

_ATTRIBUTE = "user.queuectl.wal"
_SUPPORTED = hasattr(os, "getxattr")


def refuse_other_wal(path: str) -> None:
    """Raise OtherWal if the -wal of the file at `path` was written for another file."""
    if (owner := _recorded(f"{path}-wal")) is not None and owner != _recorded(path):
        raise OtherWal(path)


def record_wal(path: str) -> None:
    """Record that the -wal belongs to the file.

    Call it while the write lock is held and before the first frame is written: so each -wal with
    frames has the record.
    """
    if not _SUPPORTED:
        return
    owner = _recorded(path)
    if owner is not None and owner == _recorded(f"{path}-wal"):
        return
    owner = owner or os.urandom(8).hex()
    try:
        for file in (path, f"{path}-wal"):  # first the file: a -wal alone must not have the text
            os.setxattr(file, _ATTRIBUTE, f"{os.stat(file).st_ino} {owner}".encode())
    except OSError:
        return


def _recorded(file: str) -> str | None:
    """Return the random text in the attribute; None if it is missing or was copied with a file."""
    if not _SUPPORTED:
        return None
    try:
        inode, _, owner = os.getxattr(file, _ATTRIBUTE).decode().partition(" ")
        return owner if inode == str(os.stat(file).st_ino) else None
    except (OSError, ValueError):
        return None
