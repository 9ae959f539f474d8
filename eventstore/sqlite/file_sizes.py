"""The limit for the size of a file that this process may write: `ulimit -f`."""

import os

_GROWTH_BYTES = 32_768
"""The -shm grows by so much; the file and its -wal by less."""


def size_limit(path: str) -> int | None:
    """The limit in bytes, if the queue file at `path` or a file beside it has reached it."""
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
