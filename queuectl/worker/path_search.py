"""Where the program of a job is: as `execvp` finds it, from the job's own directory and PATH."""

import os
from functools import lru_cache


def find(name: str, path: str) -> bytes | None:
    """The file to execute for `name`, seen from the current directory; None if there is none.

    A file that may not be executed is returned if there is no other, so that the error names it.
    """
    if "/" in name:
        return name.encode()
    files = candidates(name, path)
    for file in files:
        if os.access(file, os.X_OK) and os.path.isfile(file):
            return file
    return next((file for file in files if os.path.isfile(file)), None)


@lru_cache(1_024)
def candidates(name: str, path: str) -> tuple[bytes, ...]:
    """The files that `name` may stand for, in the order of PATH."""
    if "/" in name:
        return (name.encode(),)
    return tuple(os.path.join(folder or ".", name).encode() for folder in path.split(":"))


@lru_cache(1_024)
def absolute_candidates(cwd: str, name: str, path: str) -> tuple[bytes, ...]:
    """The same, seen from the directory `cwd`."""
    return tuple(os.path.join(cwd.encode(), file) for file in candidates(name, path))
