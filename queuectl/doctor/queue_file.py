"""Check a queue file and its folder from outside, without opening the database."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from eventstore.errors import StoreError
from eventstore.location import Location, exists
from eventstore.shared_file_systems import network_file_system
from eventstore.write_access import why_unwritable

from . import checks, machine
from .checks import Finding


class FileFacts(NamedTuple):
    """Measurements of a queue file and its folder."""

    wal_bytes: int
    free_bytes: int | None
    fsync: float | OSError | None
    """Median milliseconds of an fsync, or the error of the write; None if there is no folder."""


def facts_of(path: str) -> FileFacts:
    """Measure the queue file at `path` and its folder; either may be missing."""
    folder = os.path.dirname(path)
    usable = _is_usable(folder)
    return FileFacts(
        wal_bytes=machine.size_of(f"{path}-wal"),
        free_bytes=machine.free_space(folder)[0] if usable else None,
        fsync=machine.measure_fsync(folder) if usable else None,
    )


def check_place(location: Location, open_error: StoreError | None) -> Finding:
    """Check that there is a queue file. open_error: the error of opening it, if there was one."""
    words = f"{location.file} ({location.reason})"
    if open_error is not None:
        problem, _, todo = str(open_error).partition("; ")
        problem = problem.removeprefix(location.file).strip()
        space = "" if problem.startswith(":") else " "
        return Finding("file", f"{words}{space}{problem}", todo or "name another file with --db")
    folder = os.path.dirname(location.file)
    if not os.path.isdir(folder) and location.why != "your own":
        return Finding("file", f"{words}: there is no folder {folder}", f"mkdir {folder}")
    if exists(location):
        return Finding("file", words)
    todo = "enqueue a job, which creates it, or name another file with --db"
    return Finding("file", f"{words} does not exist", todo, note=True)


def check_file(path: str, facts: FileFacts) -> Iterator[Finding]:
    """Check the modes, the disk and the leftovers of a queue file.

    Yields nothing if its folder does not exist or is not accessible.
    """
    folder = os.path.dirname(path)
    if not _is_usable(folder):
        return
    yield checks.place(machine.entry(folder), os.geteuid())
    if entries := machine.entries(path):
        yield checks.modes(entries, os.geteuid())
    yield checks.wal(facts.wal_bytes)
    yield checks.room(*machine.free_space(folder))
    if isinstance(facts.fsync, OSError):
        why = why_unwritable(path)
        yield checks.unwritable(machine.entry(folder), os.geteuid(), why, facts.fsync)
    elif facts.fsync is not None:
        yield checks.fsync(facts.fsync)
    overridden = os.environ.get("QUEUECTL_ALLOW_NETWORK") == "1"
    yield checks.network(network_file_system(folder, os.stat(folder).st_dev), overridden)
    yield checks.descriptors(*machine.open_files())
    yield checks.marks(machine.may_mark())
    yield checks.leftovers(machine.unfinished_files(path))


def _is_usable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.X_OK)
