"""Writing a file or a folder to disk."""

import os


def sync(path: str, flags: int) -> None:
    """Open a file or folder with these flags, and wait until it is on disk (fsync)."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
