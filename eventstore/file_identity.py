"""The identity of a file, by whatever path it is reached."""

import os


def file_identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file that `path` leads to; None if it cannot be examined."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
