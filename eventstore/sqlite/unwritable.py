"""Queue files that cannot be written: finding the reason, and reading them nevertheless.

After a disk error, ext4 remounts itself read-only. The newest records are often still in the -wal
then, and no process can move them into the file.
"""

import errno
import os
import stat
from typing import Literal

import apsw

from ..errors import DISK_FULL, ReadOnly, Unwritable

_URI = apsw.SQLITE_OPEN_URI
_HEADER_BYTES = 32
_PROBE_BYTES = 32_768
"""The -shm grows by so much at a time."""
_BIG_ENDIAN, _LITTLE_ENDIAN = 0x377F0683, 0x377F0682


def why_unwritable(path: str) -> Unwritable | None:
    """Return why no file can be created next to the file at `path`; None if it can.

    This is tried with a nameless file (O_TMPFILE): when ext4 has stopped writing after an error,
    mount flags and file modes do not show it.
    """
    folder = os.path.dirname(path)
    error = _error_of_new_file(folder)
    if isinstance(error, PermissionError):
        return "modes"
    if error is not None and error.errno == errno.EROFS:
        return "mount"
    if error is not None and not os.access(folder, os.W_OK):
        return "modes"  # the file system has no nameless files, or the folder is missing
    return None


def has_no_inode(path: str) -> bool:
    """Return True if no file can be created next to the file at `path` because the disk is full."""
    error = _error_of_new_file(os.path.dirname(path))
    return error is not None and error.errno in DISK_FULL


def is_full(path: str) -> bool:
    """Return True if nothing can be written next to the file at `path` as the disk is full."""
    from tempfile import TemporaryFile  # rarely needed

    try:
        with TemporaryFile(dir=os.path.dirname(path), buffering=0) as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return error.errno in DISK_FULL
    return False


def _error_of_new_file(folder: str) -> OSError | None:
    """Return the error of creating a nameless file in `folder`; None if it can be created."""
    try:
        os.close(os.open(folder, os.O_RDWR | getattr(os, "O_TMPFILE", 0), 0o600))
    except OSError as error:
        return error
    return None


def read_only(path: str) -> ReadOnly:
    """Return the error for a write to the file at `path` that was not permitted."""
    return ReadOnly(path, why_unwritable(path) or "modes")


def refuse_endless_retry(path: str) -> None:
    """Raise ReadOnly if SQLite would try for 10 s to read a damaged -wal that it cannot repair."""
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
    """Return a file: URI. Three characters that have a meaning in URIs are escaped.

    Source: https://www.sqlite.org/uri.html, 3.1.
    """
    for character, escape in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(character, escape)
    return f"file:{path}?{parameters}"


def _wal_can_be_read(path: str) -> bool:
    """Return True if the header of the -wal is valid, or there is no -wal.

    The header may be invalid after a crash while it was written.
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
    """Return True if the checksum of the header is right.

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
