"""The limit of this process for the size of files that it writes: `ulimit -f`."""

import os

_GROWTH_BYTES = 32_768
"""Step by which the -shm grows; the file and its -wal grow by less."""


def size_limit(path: str) -> int | None:
    """Return the limit in bytes if the queue file, its -wal or -shm has reached it; else None."""
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
