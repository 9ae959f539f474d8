"""Reading queue files that cannot be written.

After a disk error, ext4 remounts itself read-only. Then the newest records are often still in the
-wal, and no process can move them into the file.
"""

import os
import stat
from typing import Literal

import apsw

from ..errors import ReadOnly
from ..write_access import why_unwritable

_URI = apsw.SQLITE_OPEN_URI
_HEADER_BYTES = 32
_BIG_ENDIAN, _LITTLE_ENDIAN = 0x377F0683, 0x377F0682


def refuse_endless_retry(path: str) -> None:
    """Raise ReadOnly if the -wal is damaged and SQLite could not repair it.

    SQLite would try to read it for 10 s.
    """
    if not _wal_can_be_read(path) and (why := why_unwritable(path)) is not None:
        raise ReadOnly(path, why)


def open_frozen(path: str) -> apsw.Connection:
    """Return a connection that reads a file on a read-only file system, including its -wal.

    It creates no files and takes no locks: SQLite keeps the index of the -wal in memory.
    """
    if not _size(f"{path}-wal"):
        return apsw.Connection(uri(path, "immutable=1"), apsw.SQLITE_OPEN_READONLY | _URI)
    connection = apsw.Connection(uri(path, "vfs=unix-none"), apsw.SQLITE_OPEN_READONLY | _URI)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    return connection


def uri(path: str, parameters: str) -> str:
    """Return a `file:` URI for the path. Three characters with a meaning in URIs are escaped.

    Source: https://www.sqlite.org/uri.html, 3.1.
    """
    for character, escape in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(character, escape)
    return f"file:{path}?{parameters}"


def _wal_can_be_read(path: str) -> bool:
    """Return True if the header of the -wal is valid, or there is no -wal.

    The header is invalid if a process or the machine crashed while it was written.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        header = os.read(descriptor, _HEADER_BYTES)
    finally:
        os.close(descriptor)
    return len(header) < _HEADER_BYTES or _is_valid(header)


def _is_valid(header: bytes) -> bool:
    """Return True if the checksum of the header is correct.

    Source: https://www.sqlite.org/fileformat2.html, 4.1 and 4.2.
    """
    magic = int.from_bytes(header[:4])
    if magic not in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        return False
    order: Literal["big", "little"] = "big" if magic == _BIG_ENDIAN else "little"
    first = second = 0
    for at in range(0, 24, 8):
        first = (first + int.from_bytes(header[at : at + 4], order) + second) % 2**32
        second = (second + int.from_bytes(header[at + 4 : at + 8], order) + first) % 2**32
    return header[24:] == first.to_bytes(4) + second.to_bytes(4)


def _size(path: str) -> int:
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
