"""What the file system and the kernel say of a queue file, without opening it as a database."""

import os
import resource
import statistics
import sys
import tempfile
import time

from ..worker.process_sweep import RLIMIT_RTTIME
from .checks import Entry

ROUNDS = 7
PAGE_BYTES = 4096

OLD_S = 600.0
"""A file under a temporary name that is younger may be in the making."""


def entries(path: str) -> list[Entry]:
    """The files and folders of the queue at `path` that are there."""
    beside = [f"{path}.d/{name}" for name in ("locks", "bells", "outputs")]
    found = []
    for one in (path, f"{path}-wal", f"{path}-shm", f"{path}.d", *beside):
        try:
            seen = os.lstat(one)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        found.append(Entry(one, seen.st_mode, seen.st_uid))
    return found


def entry(path: str) -> Entry:
    """A folder that is there."""
    found = os.stat(path)
    return Entry(path, found.st_mode, found.st_uid)


def size_of(path: str) -> int:
    """Bytes; 0 where there is no such file."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return 0


def free(folder: str) -> tuple[int, int | None]:
    """Bytes and inodes that this user may still take; no number of inodes where none is counted."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None


def fsync(folder: str) -> float | OSError:
    """Median milliseconds of an fsync of one page in a nameless file there, or why it failed."""
    took = []
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for _ in range(ROUNDS):
                file.write(bytes(PAGE_BYTES))
                began = time.perf_counter()
                os.fsync(file.fileno())
                took.append((time.perf_counter() - began) * 1000)
    except OSError as error:
        return error
    return statistics.median(took)


def open_files() -> tuple[int, int | None]:
    """The soft and the hard limit of open files; None is no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft, None if hard == resource.RLIM_INFINITY else hard


def may_mark() -> bool:
    """Whether a worker can mark its jobs by a resource limit; where nobody can it is well so."""
    if sys.platform != "linux":
        return True
    return resource.getrlimit(RLIMIT_RTTIME)[1] == resource.RLIM_INFINITY


def leftovers(path: str) -> list[str]:
    """What a creation or a backup that was killed left beside `path`."""
    folder, _, name = path.rpartition("/")
    found = []
    with os.scandir(folder or "/") as names:
        for one in names:
            ours = one.name.startswith(f"{name}.") and ".new" in one.name.removeprefix(name)
            if ours and one.stat(follow_symlinks=False).st_mtime < time.time() - OLD_S:
                found.append(one.path)
    return sorted(found)
