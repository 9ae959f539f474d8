"""Run all checks. The checks of the file's content need a file that can be opened."""

import os
import platform
import time
from collections.abc import Iterator
from typing import NamedTuple

import eventstore
import projections
import queuectl
from eventstore.errors import Missing, StoreError
from eventstore.location import Location
from eventstore.queue_file import library_versions
from eventstore.store import Head, OnProgress, Reader, Store
from eventstore.verify import verify
from projections.read_models import counts, timers
from projections.rebuild import malformed_tables
from projections.registry import checkpoint, freshness

from ..core.clock import SystemClock
from ..core.snapshot import Reading
from ..outputs.check import check_outputs
from ..text.numbers import plural
from . import checks, processes, queue_file, server, server_checks
from .checks import Finding
from .queue_file import FileFacts

_RESTORE = {
    False: "queuectl restore BACKUP",
    True: "restore the database, or queuectl migrate BACKUP to a new queue",
}
"""How to restore a queue; the key is whether it is on a server."""

COUNTED_AT_MOST = 1_000
"""The most overdue jobs to count: counting a job takes as long as reading it."""


class Examination(NamedTuple):
    """The result of all checks."""

    findings: list[Finding]
    versions: dict[str, str]
    head: Head | None
    """The last event; None if the file could not be opened."""
    file: FileFacts

    @property
    def healthy(self) -> bool:
        """Whether no check found a problem."""
        return all(finding.level != "problem" for finding in self.findings)


def examine(reading: Reading, deep: bool, on_progress: OnProgress) -> Examination:
    """Run all checks, without changing a file. deep: also check every record and every row.

    Raises Missing if a file was named that does not exist.
    """
    store, open_error = _opened(reading)
    outside = _outside_server if reading.location.on_server else _outside_file
    result = outside(reading.location, open_error)
    if store is None:
        return result
    head, inside = _inside(store)
    result.findings.extend(inside)
    if deep:
        result.findings.extend(_deep(store, on_progress))
    return result._replace(head=head)


def _outside_file(location: Location, open_error: StoreError | None) -> Examination:
    """Check a queue file, its folder and the machine. open_error: of opening it, if any."""
    facts = queue_file.facts_of(location.file)
    return Examination(
        findings=[
            _packages(),
            queue_file.check_place(location, open_error),
            *queue_file.check_file(location.file, facts),
        ],
        versions=versions(),
        head=None,
        file=facts,
    )


def _outside_server(location: Location, open_error: StoreError | None) -> Examination:
    """Check a server, the connection to it and the machine. open_error: of opening the queue."""
    facts = server.facts_of(location)
    findings = [_packages(), server.check_place(location, facts, open_error)]
    of_server: dict[str, str] = {}
    if not isinstance(facts, StoreError):
        findings += server.check_server(facts)
        of_server = facts.versions
    return Examination(
        findings=[*findings, *server.check_machine()],
        versions={**versions(), **of_server},
        head=None,
        file=FileFacts(wal_bytes=0, free_bytes=None, fsync=None),
    )


def versions() -> dict[str, str]:
    """Return the versions of all programs that read or write the log."""
    return {
        "queuectl": queuectl.__version__,
        "python": platform.python_version(),
        **library_versions(),
    }


def _packages() -> Finding:
    used = versions()
    words = f"queuectl {used['queuectl']}, Python {used['python']}, SQLite {used['sqlite']}"
    floors = [eventstore.__file__, projections.__file__, queuectl.__file__]
    places = [os.path.dirname(os.path.dirname(str(file))) for file in floors]
    return checks.packages(f"{words} (APSW {used['apsw']})", places)


def _opened(reading: Reading) -> tuple[Store | None, StoreError | None]:
    """Return the store, or the error of opening it; both None if there is no file yet.

    The queue on a server is also None if the server does not answer.
    """
    try:
        return reading.store, None
    except Missing:
        raise
    except StoreError as error:
        return None, error


def _inside(store: Store) -> tuple[Head | None, list[Finding]]:
    """Check the content of the file and the processes of its workers; return the head as well."""
    cookies = processes.marked(store.key)
    head = None
    findings: list[Finding] = []
    try:
        with store.read() as tx:
            head = tx.head()
            findings.append(Finding("head", f"{head.position}:{head.hash}"))
            models_at = checkpoint(tx)
            views = checks.views(
                freshness(models_at), models_at.position, head.position, malformed_tables(tx)
            )
            findings.append(views)
            if views.todo is not None:
                return head, findings
            active = processes.check_workers(store, tx)
            findings += _jobs(tx, active)
    except StoreError as error:
        problem, _, todo = str(error).partition("; ")
        return head, [*findings, Finding("views", problem, todo or "queuectl replay")]
    return head, [*findings, *_workers_and_processes(store, cookies, active)]


def _jobs(tx: Reader, active: list[processes.CheckedWorker]) -> Iterator[Finding]:
    """Check for dead jobs, pending jobs that no worker would run, and overdue jobs."""
    alive = [checked.worker for checked in active if checked.lives]
    by_queue = counts.by_queue(tx)
    pending = {name: totals.states["pending"] for name, totals in by_queue.items()}
    without_worker = {
        name: number
        for name, number in pending.items()
        if number and not any(name in (worker.started.queues or (name,)) for worker in alive)
    }
    now_us = SystemClock().wall_us()
    late = timers.due(tx, now_us - checks.OVERDUE_S * 1_000_000, COUNTED_AT_MOST + 1)
    yield checks.dead(counts.total(tx).states["dead"])
    yield checks.waiting(without_worker, len(alive))
    counted = min(len(late), COUNTED_AT_MOST)
    yield checks.overdue(counted, at_least=len(late) > counted, workers=len(alive))


def _workers_and_processes(
    store: Store, cookies: dict[int, str], active: list[processes.CheckedWorker]
) -> Iterator[Finding]:
    """Check the workers and their processes. cookies: the result of `processes.marked`."""
    dead = [checked for checked in active if not checked.lives]
    yield checks.workers(
        [checked.worker.id for checked in active if checked.lives],
        [checked.worker.id for checked in dead],
        sum(len(checked.claims) for checked in dead),
        processes.frozen(active),
    )
    if stuck := processes.unendable_processes(store.key, active, time.time_ns() // 1_000):
        yield checks.unendable(stuck)
    yield checks.processes(*processes.left_behind(store.key, cookies, active))
    judge = server_checks.listeners if store.distant else checks.bells
    yield judge(*processes.unreachable(store, active))
    yield checks.locks(*processes.lock_files(store, active))


def _deep(store: Store, on_progress: OnProgress) -> Iterator[Finding]:
    """Check each record of the log, each page of the file, each row of the read models."""
    for name, check in (("log", _records), ("rows", _rows), ("outputs", _outputs)):
        try:
            yield from check(store, on_progress)
        except StoreError as error:
            problem, _, todo = str(error).rpartition("; ")
            yield Finding(name, problem, todo)


def _records(store: Store, on_progress: OnProgress) -> list[Finding]:
    with store.read_log() as tx:
        verdict = verify(tx, on_progress=on_progress)
        damage = tx.damage()
    restore = f"queuectl verify shows all of it; then {_RESTORE[store.distant]}"
    if verdict.broken:
        words = f"position {verdict.broken.position}: {verdict.broken.what}"
    elif verdict.missing_guards:
        words = f"without {', '.join(verdict.missing_guards)}"
    elif verdict.excess_rights:
        words = f"{'; '.join(verdict.excess_rights)} the table events"
        restore = "revoke that from the role"
    else:
        words = f"{plural(verdict.records, 'record')}, each tied to the one before"
    sound = not (verdict.broken or verdict.missing_guards or verdict.excess_rights)
    return [
        Finding("log", words, None if sound else restore),
        Finding("pages", damage or "ok", _RESTORE[store.distant] if damage else None),
    ]


def _rows(store: Store, on_progress: OnProgress) -> list[Finding]:
    from projections.rebuild import compare

    differences = compare(store, on_progress)
    if differences:
        words = f"{plural(len(differences), 'row')} not equal to the log"
        return [Finding("rows", words, "queuectl replay")]
    return [Finding("rows", "all match the log")]


def _outputs(store: Store, on_progress: OnProgress) -> list[Finding]:
    with store.read_log() as tx:
        problems = list(
            check_outputs(tx, store.pieces, on_progress=on_progress, has_all=store.has_all)
        )
    return [checks.outputs(problems)]
