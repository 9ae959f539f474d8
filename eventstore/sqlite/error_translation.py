"""Translating SQLite's errors into those of this package."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import apsw

from ..errors import (
    Busy,
    FileTooLarge,
    Full,
    Incomplete,
    ReadOnly,
    StorageFailed,
    Unusable,
    Unwritable,
)
from ..store import PATIENCE_S
from ..write_access import has_no_inode, is_full, read_only, size_limit, why_unwritable

DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.TooBigError)
"""Errors from reading a damaged file. TooBigError is included because the store never writes values
of that size: the stored length must be damaged."""

RESTORE = "restore a backup: queuectl restore BACKUP"

CHECK_AND_RESTORE = f"check the disk (dmesg), then {RESTORE}"

_UNREADABLE = (errno.EIO, errno.ENXIO, errno.ERANGE)
"""Error numbers that become SQLITE_IOERR_CORRUPTFS. Source: unixRead in SQLite's os_unix.c."""

_WRONG_SCHEMA = ("no such", "has no column named", "columns but")
"""Parts of SQLite's messages about a table that is missing or has other columns than expected."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise this package's error instead of SQLite's.

    Do not commit inside the block: a failed commit may still have been written to disk.
    """
    try:
        yield
    except apsw.FullError:
        raise Full(path) from None
    except (apsw.BusyError, apsw.LockedError):
        raise busy(path, PATIENCE_S) from None
    except (apsw.ReadOnlyError, apsw.PermissionsError):
        raise read_only(path) from None
    except DAMAGED as error:
        if (failed := failed_read()) is not None:
            raise StorageFailed(
                failed.path, f"the disk failed to read it ({failed.cause})"
            ) from None
        raise StorageFailed(path, f"the file is damaged ({error})", CHECK_AND_RESTORE) from None
    except UnicodeDecodeError:
        raise StorageFailed(path, "a text in it is damaged", RESTORE) from None
    except apsw.SQLError as error:
        if any(words in str(error) for words in _WRONG_SCHEMA):
            raise Incomplete(path, str(error)) from None
        raise
    except (apsw.IOError, apsw.CantOpenError, apsw.ProtocolError, apsw.NoMemError) as error:
        raise _of_the_system(error, path) from None


def _of_the_system(error: apsw.Error, path: str) -> Unusable:
    """Return the error for a failed system call of SQLite."""
    if isinstance(error, apsw.IOError) and (limit := size_limit(path)) is not None:
        return FileTooLarge(path, limit)
    # The -shm could not grow; readers need it as well. SQLite does not give the reason.
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE and is_full(path):
        return Full(path)
    if isinstance(error, apsw.CantOpenError) and has_no_inode(path):
        return Full(path)
    why = None if isinstance(error, apsw.NoMemError) else _why_unwritable(path)
    return StorageFailed(path, str(error)) if why is None else ReadOnly(path, why)


class FailedRead(NamedTuple):
    """A database file that could not be read from the disk."""

    path: str
    cause: str
    """The error message of the system."""


def failed_read() -> FailedRead | None:
    """Return the open database that could not be read; None if its content is damaged.

    Call it after an error of DAMAGED. SQLite reports a page that the disk cannot read as a damaged
    page too, but it keeps the error number of the main file.
    """
    from ctypes import addressof, c_int  # rarely needed

    for connection in apsw.connections():
        number = c_int(0)
        try:
            connection.file_control("main", apsw.SQLITE_FCNTL_LAST_ERRNO, addressof(number))
            path = connection.filename
        except apsw.Error:
            continue  # it was just closed, or another thread is using it
        if number.value in _UNREADABLE:
            return FailedRead(path, os.strerror(number.value))
    return None


def _why_unwritable(path: str) -> Unwritable | None:
    if (why := why_unwritable(path)) is not None:
        return why
    return "modes" if os.path.exists(path) and not os.access(path, os.W_OK) else None


def busy(path: str, waited_s: float) -> Busy:
    """Return the error for a lock that was not released in time; it names the lock's holder."""
    from .lock_holders import writer  # rarely needed

    holder = writer(path)
    if holder is None:
        return Busy(path, waited_s, "another process", "wait until it is done, or end it")
    if holder.stopped:
        return Busy(path, waited_s, str(holder), f"continue it (kill -CONT {holder.pid}) or end it")
    return Busy(path, waited_s, str(holder), "wait until it is done, or end it")
