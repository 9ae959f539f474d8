"""Read facts about a queue file from the file system and the kernel; never open the database."""

import os
import resource
import statistics
import sys
import tempfile
import time

from ..worker.process_sweep import RLIMIT_RTTIME
from .checks import Entry

ROUNDS = 7
"""The number of fsyncs to measure."""
PAGE_BYTES = 4096
"""The number of bytes to write before each fsync."""

OLD_S = 600.0
"""A temporary file that was changed less than this many seconds ago may still be in use."""


def entries(path: str) -> list[Entry]:
    """Return the existing files and folders of the queue at `path`."""
    folders = [f"{path}.d/{name}" for name in ("locks", "bells", "outputs")]
    existing = []
    for file in (path, f"{path}-wal", f"{path}-shm", f"{path}.d", *folders):
        try:
            status = os.lstat(file)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        existing.append(Entry(file, status.st_mode, status.st_uid))
    return existing


def entry(path: str) -> Entry:
    """Return the mode and the owner of an existing folder."""
    status = os.stat(path)
    return Entry(path, status.st_mode, status.st_uid)


def size_of(path: str) -> int:
    """Return the size of a file in bytes; 0 if there is no such file."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return 0


def free_space(folder: str) -> tuple[int, int | None]:
    """Return the bytes and the inodes available to this user. Inodes: None if not counted."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None


def measure_fsync(folder: str) -> float | OSError:
    """Return the median milliseconds of an fsync of one page in a temporary file, or the error."""
    times_ms = []
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for _ in range(ROUNDS):
                file.write(bytes(PAGE_BYTES))
                start = time.perf_counter()
                os.fsync(file.fileno())
                times_ms.append((time.perf_counter() - start) * 1000)
    except OSError as error:
        return error
    return statistics.median(times_ms)


def open_files() -> tuple[int, int | None]:
    """Return the soft and the hard limit of open files; a hard limit of None is no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft, None if hard == resource.RLIM_INFINITY else hard


def may_mark() -> bool:
    """Return whether a worker can mark its jobs by RLIMIT_RTTIME; True outside Linux.

    See queuectl/worker/process_mark.py.
    """
    if sys.platform != "linux":
        return True
    return resource.getrlimit(RLIMIT_RTTIME)[1] == resource.RLIM_INFINITY


def unfinished_files(path: str) -> list[str]:
    """Return temporary files next to `path` that a killed creation or backup left, sorted."""
    folder, _, name = path.rpartition("/")
    paths = []
    with os.scandir(folder or "/") as files:
        for file in files:
            temporary = file.name.startswith(f"{name}.") and ".new" in file.name.removeprefix(name)
            if temporary and file.stat(follow_symlinks=False).st_mtime < time.time() - OLD_S:
                paths.append(file.path)
    return sorted(paths)
