"""All checks in turn, as far as the file lets itself be opened."""

import os
import platform
import time
from collections.abc import Iterator
from typing import NamedTuple

import apsw

import eventstore
import projections
import queuectl
from eventstore.errors import Missing, StoreError
from eventstore.location import Location
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.shared_file_systems import network_file_system
from eventstore.sqlite.unwritable import why_unwritable
from eventstore.sqlite.verify import verify
from eventstore.store import Head, OnProgress, Reader
from projections.read_models import counts, timers
from projections.rebuild import malformed_tables
from projections.registry import checkpoint, freshness

from ..core.clock import SystemClock
from ..core.snapshot import Reading
from ..text.numbers import plural
from . import checks, machine, processes
from .checks import Finding

COUNTED_AT_MOST = 1_000
"""Overdue jobs: their number costs as much as reading them."""


class Examination(NamedTuple):
    """What was found."""

    findings: list[Finding]
    versions: dict[str, str]
    head: Head | None
    """None where the file could not be opened."""
    wal_bytes: int
    free_bytes: int | None
    fsync: float | OSError | None
    """Median milliseconds, or why nothing can be written there; None if there is no folder."""

    @property
    def well(self) -> bool:
        """Whether no check found a problem."""
        return all(one.level != "problem" for one in self.findings)


def examine(reading: Reading, deep: bool, on_progress: OnProgress) -> Examination:
    """Look at everything, and change nothing. deep: also at every record and every row.

    Raises Missing for a named file that is not there.
    """
    path = reading.location.path
    store, refused = _opened(reading)
    folder = os.path.dirname(path)
    has_folder = os.path.isdir(folder) and os.access(folder, os.X_OK)
    found = Examination(
        findings=[_packages(), _file(reading.location, refused)],
        versions=versions(),
        head=None,
        wal_bytes=machine.size_of(f"{path}-wal"),
        free_bytes=machine.free(folder)[0] if has_folder else None,
        fsync=machine.fsync(folder) if has_folder else None,
    )
    if has_folder:
        found.findings.extend(_around(path, folder, found))
    if store is None:
        return found
    head, inside = _inside(store)
    found.findings.extend(inside)
    if deep:
        found.findings.extend(_deep(store, on_progress))
    return found._replace(head=head)


def versions() -> dict[str, str]:
    """Of all that matters to a log."""
    return {
        "queuectl": queuectl.__version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "apsw": apsw.apsw_version(),
    }


def _packages() -> Finding:
    found = versions()
    words = f"queuectl {found['queuectl']}, Python {found['python']}, SQLite {found['sqlite']}"
    floors = [eventstore.__file__, projections.__file__, queuectl.__file__]
    places = [os.path.dirname(os.path.dirname(str(file))) for file in floors]
    return checks.packages(f"{words} (APSW {found['apsw']})", places)


def _opened(reading: Reading) -> tuple[SqliteStore | None, StoreError | None]:
    """The store, or what was wrong with it; neither where there is none yet."""
    try:
        return reading.store, None
    except Missing:
        raise
    except StoreError as error:
        return None, error


def _file(location: Location, refused: StoreError | None) -> Finding:
    words = f"{location.path} ({location.reason})"
    if refused is not None:
        what, _, todo = str(refused).partition("; ")
        what = what.removeprefix(location.path).strip()
        space = "" if what.startswith(":") else " "
        return Finding("file", f"{words}{space}{what}", todo or "name another file with --db")
    folder = os.path.dirname(location.path)
    if not os.path.isdir(folder) and location.why != "your own":
        return Finding("file", f"{words}: there is no folder {folder}", f"mkdir {folder}")
    if os.path.lexists(location.path):
        return Finding("file", words)
    todo = "enqueue a job, which creates it, or name another file with --db"
    return Finding("file", f"{words} does not exist", todo, note=True)


def _around(path: str, folder: str, found: Examination) -> Iterator[Finding]:
    yield checks.place(machine.entry(folder), os.geteuid())
    if entries := machine.entries(path):
        yield checks.modes(entries, os.geteuid())
    yield checks.wal(found.wal_bytes)
    yield checks.room(*machine.free(folder))
    if isinstance(found.fsync, OSError):
        why = why_unwritable(path)
        yield checks.unwritable(machine.entry(folder), os.geteuid(), why, found.fsync)
    elif found.fsync is not None:
        yield checks.fsync(found.fsync)
    overridden = os.environ.get("QUEUECTL_ALLOW_NETWORK") == "1"
    yield checks.network(network_file_system(folder, os.stat(folder).st_dev), overridden)
    yield checks.descriptors(*machine.open_files())
    yield checks.marks(machine.may_mark())
    yield checks.leftovers(machine.leftovers(path))


def _inside(store: SqliteStore) -> tuple[Head | None, list[Finding]]:
    """What stands in the file, and the processes it knows of."""
    before = processes.marked(store.identity)
    head = None
    findings: list[Finding] = []
    try:
        with store.read() as tx:
            head = tx.head()
            findings.append(Finding("head", f"{head.position}:{head.hash}"))
            reached = checkpoint(tx)
            drift = checks.views(
                freshness(reached), reached.position, head.position, malformed_tables(tx)
            )
            findings.append(drift)
            if drift.todo is not None:
                return head, findings
            seen = processes.look(store, tx)
            findings += _jobs(tx, seen)
    except StoreError as error:
        what, _, todo = str(error).partition("; ")
        return head, [*findings, Finding("views", what, todo or "queuectl replay")]
    return head, [*findings, *_alive(store, before, seen)]


def _jobs(tx: Reader, seen: list[processes.Seen]) -> Iterator[Finding]:
    """Jobs that wait for a person, or for a worker that is not there."""
    alive = [one.worker for one in seen if one.lives]
    by_queue = counts.by_queue(tx)
    pending = {name: found.states["pending"] for name, found in by_queue.items()}
    unserved = {
        name: number
        for name, number in pending.items()
        if number and not any(name in (one.started.queues or (name,)) for one in alive)
    }
    now_us = SystemClock().wall_us()
    late = timers.due(tx, now_us - checks.OVERDUE_S * 1_000_000, COUNTED_AT_MOST + 1)
    yield checks.dead(counts.total(tx).states["dead"])
    yield checks.waiting(unserved, len(alive))
    counted = min(len(late), COUNTED_AT_MOST)
    yield checks.overdue(counted, at_least=len(late) > counted, workers=len(alive))


def _alive(
    store: SqliteStore, before: dict[int, str], seen: list[processes.Seen]
) -> Iterator[Finding]:
    dead = [one for one in seen if not one.lives]
    yield checks.workers(
        [one.worker.id for one in seen if one.lives],
        [one.worker.id for one in dead],
        sum(len(one.claims) for one in dead),
        processes.frozen(seen),
    )
    if stuck := processes.unendable(store.identity, seen, time.time_ns() // 1_000):
        yield checks.unendable(stuck)
    yield checks.processes(*processes.left_behind(store.identity, before, seen))
    yield checks.bells(*processes.unreachable(store, seen))
    yield checks.locks(*processes.lock_files(store, seen))


def _deep(store: SqliteStore, on_progress: OnProgress) -> Iterator[Finding]:
    """Each record of the log, each page of the file, each row of the views."""
    for check, look in (("log", _records), ("rows", _rows)):
        try:
            yield from look(store, on_progress)
        except StoreError as error:
            what, _, todo = str(error).rpartition("; ")
            yield Finding(check, what, todo)


def _records(store: SqliteStore, on_progress: OnProgress) -> list[Finding]:
    with store.read() as tx:
        verdict = verify(tx, on_progress=on_progress)
        pages = tx.query("PRAGMA integrity_check(1)")[0][0]
    restore = "queuectl verify shows all of it; then queuectl restore BACKUP"
    if verdict.broken:
        what = f"position {verdict.broken.position}: {verdict.broken.what}"
    elif verdict.missing_triggers:
        what = f"without {', '.join(verdict.missing_triggers)}"
    else:
        what = f"{plural(verdict.records, 'record')}, each tied to the one before"
    sound = not (verdict.broken or verdict.missing_triggers)
    return [
        Finding("log", what, None if sound else restore),
        Finding("pages", str(pages), None if pages == "ok" else "queuectl restore BACKUP"),
    ]


def _rows(store: SqliteStore, on_progress: OnProgress) -> list[Finding]:
    from projections.rebuild import compare

    found = compare(store, on_progress)
    if found:
        words = f"{plural(len(found), 'row')} not equal to the log"
        return [Finding("rows", words, "queuectl replay")]
    return [Finding("rows", "all match the log")]
