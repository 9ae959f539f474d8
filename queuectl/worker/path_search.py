"""The search for a job's program, as `execvp` does it: in the job's directory and PATH."""

import os
from functools import lru_cache


def find_program(name: str, path: str) -> bytes | None:
    """Return the file to execute for `name`, relative to the current directory; None if missing.

    path: value of PATH. If all matching files lack the permission to execute, the first of them is
    returned, so that the error message names it.
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
    """Return the files that `name` may refer to, in the order of PATH."""
    if "/" in name:
        return (name.encode(),)
    return tuple(os.path.join(folder or ".", name).encode() for folder in path.split(":"))


@lru_cache(1_024)
def absolute_candidates(cwd: str, name: str, path: str) -> tuple[bytes, ...]:
    """Return the same files as absolute paths, for the working directory `cwd`."""
    return tuple(os.path.join(cwd.encode(), file) for file in candidates(name, path))
