"""The identity of a file: the same for all paths that lead to it."""

import os


def file_key(path: str) -> str | None:
    """Return the key of the queue in the file that `path` leads to; None without a file."""
    identity = file_identity(path)
    return None if identity is None else key_of(identity)


def key_of(identity: tuple[int, int]) -> str:
    """Return the key of the queue in a file with this device and inode."""
    device, inode = identity
    return f"{device}:{inode}"


def file_identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file that `path` leads to; None if it cannot be examined."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
