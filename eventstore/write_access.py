"""Why a queue file cannot be written: modes, mounts, a full disk, the limit of `ulimit -f`."""

import errno
import os

from .errors import DISK_FULL, Full, ReadOnly, StorageFailed, Unusable, Unwritable

_GROWTH_BYTES = 32_768
"""The number of bytes by which the -shm grows at once; the file and its -wal grow by less."""


def why_unwritable(path: str) -> Unwritable | None:
    """Return why no file can be created next to the file at `path`; None if one can.

    This function tries to create a nameless file (O_TMPFILE): if ext4 has stopped writing after an
    error, neither mount flags nor file modes show it.
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
    """Return True if the disk is too full to write a file next to the file at `path`."""
    from tempfile import TemporaryFile  # rarely needed

    try:
        with TemporaryFile(dir=os.path.dirname(path), buffering=0) as file:
            file.write(bytes(_GROWTH_BYTES))
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


def write_error(error: OSError, path: str) -> Unusable:
    """Return the error for a write to the file at `path` that the system refused."""
    if error.errno in DISK_FULL:
        return Full(path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(path)
    return StorageFailed(path, str(error.strerror))


def size_limit(path: str) -> int | None:
    """Return the file size limit in bytes if the queue file, -wal or -shm reached it; else None."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return None
    largest = max(_size(f"{path}{suffix}") for suffix in ("", "-wal", "-shm"))
    return limit if largest + _GROWTH_BYTES > limit else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
