"""Translating SQLite's errors into those of this package."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ..errors import Busy, FileTooLarge, Full, Incomplete, ReadOnly, StorageFailed, Unwritable
from .busy_wait import BUSY_TIMEOUT_S
from .file_sizes import size_limit
from .unwritable import has_no_inode, read_only, why_unwritable

DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.TooBigError)
"""Errors from reading a damaged file. TooBigError is included because the store never writes values
of that size: the stored length must be damaged."""

RESTORE = "restore a backup: queuectl restore BACKUP"

_WRONG_SCHEMA = ("no such", "has no column named", "columns but")
"""Parts of SQLite's messages about a table that is missing or has other columns than expected."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise this package's error instead of SQLite's.

    Do not commit inside the block: a failed commit may have been written to disk nevertheless.
    """
    try:
        yield
    except apsw.FullError:
        raise Full(path) from None
    except (apsw.BusyError, apsw.LockedError):
        raise busy(path, BUSY_TIMEOUT_S) from None
    except (apsw.ReadOnlyError, apsw.PermissionsError):
        raise read_only(path) from None
    except DAMAGED as error:
        raise StorageFailed(path, f"the file is damaged ({error})", RESTORE) from None
    except UnicodeDecodeError:
        raise StorageFailed(path, "a text in it is damaged", RESTORE) from None
    except apsw.SQLError as error:
        if any(words in str(error) for words in _WRONG_SCHEMA):
            raise Incomplete(path, str(error)) from None
        raise
    except (apsw.IOError, apsw.CantOpenError, apsw.ProtocolError, apsw.NoMemError) as error:
        if isinstance(error, apsw.IOError) and (limit := size_limit(path)) is not None:
            raise FileTooLarge(path, limit) from None
        # The -shm could not grow; readers need it as well.
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE:
            raise Full(path) from None
        if isinstance(error, apsw.CantOpenError) and has_no_inode(path):
            raise Full(path) from None
        why = None if isinstance(error, apsw.NoMemError) else _why_unwritable(path)
        if why is not None:
            raise ReadOnly(path, why) from None
        raise StorageFailed(path, str(error)) from None


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
