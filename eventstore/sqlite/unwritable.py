"""A queue file that cannot be written: the reason, and how to read it nevertheless.

After an error of the disk ext4 remounts itself read-only, often with a -wal that holds the newest
records and nobody left to move them into the file.
"""

import errno
import os
import stat
from typing import Literal

import apsw

from ..errors import DISK_FULL, ReadOnly, Unwritable

_URI = apsw.SQLITE_OPEN_URI
_HEADER_BYTES = 32
_BIG_ENDIAN, _LITTLE_ENDIAN = 0x377F0683, 0x377F0682


def why_unwritable(path: str) -> Unwritable | None:
    """Why nothing can be written beside the file at `path`; None if it can.

    Tried with a nameless file: in an ext4 emergency flags and modes say that all is well.
    """
    folder = os.path.dirname(path)
    error = _error_of_new_file(folder)
    if isinstance(error, PermissionError):
        return "modes"
    if error is not None and error.errno == errno.EROFS:
        return "mount"
    if error is not None and not os.access(folder, os.W_OK):
        return "modes"  # no nameless files here, or no such folder
    return None


def has_no_inode(path: str) -> bool:
    """Whether no file can be created beside the file at `path`, since the disk is full."""
    error = _error_of_new_file(os.path.dirname(path))
    return error is not None and error.errno in DISK_FULL


def _error_of_new_file(folder: str) -> OSError | None:
    """The error of creating a nameless file in `folder`; None if it can be created."""
    try:
        os.close(os.open(folder, os.O_RDWR | getattr(os, "O_TMPFILE", 0), 0o600))
    except OSError as error:
        return error
    return None


def read_only(path: str) -> ReadOnly:
    """The error for a write to the file at `path` that was not permitted."""
    return ReadOnly(path, why_unwritable(path) or "modes")


def refuse_endless_retry(path: str) -> None:
    """Raise ReadOnly if SQLite would retry for 10 s to read a -wal that it cannot set right."""
    if not _wal_can_be_read(path) and (why := why_unwritable(path)) is not None:
        raise ReadOnly(path, why)


def open_frozen(path: str) -> apsw.Connection:
    """A connection to a file that nobody can write, the records in its -wal included.

    It makes no files and takes no locks: SQLite keeps its index of the -wal in memory.
    """
    if not _size(f"{path}-wal"):
        return apsw.Connection(uri(path, "immutable=1"), apsw.SQLITE_OPEN_READONLY | _URI)
    connection = apsw.Connection(uri(path, "vfs=unix-none"), apsw.SQLITE_OPEN_READONLY | _URI)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    return connection


def uri(path: str, parameters: str) -> str:
    """Source: https://www.sqlite.org/uri.html, 3.1: these three mean something else in a path."""
    for character, escape in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(character, escape)
    return f"file:{path}?{parameters}"


def _wal_can_be_read(path: str) -> bool:
    """Whether the header of the -wal is sound, or there is none. One torn by a crash is not."""
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        header = os.read(descriptor, _HEADER_BYTES)
    finally:
        os.close(descriptor)
    return len(header) < _HEADER_BYTES or _is_sound(header)


def _is_sound(header: bytes) -> bool:
    """Source: https://www.sqlite.org/fileformat2.html, 4.1 and 4.2."""
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
