"""A copy of a queue file, of one moment, while others go on writing; and whether it is sound."""

from collections.abc import Callable
from pathlib import Path

import apsw

from ..errors import ChainBroken, StorageFailed
from ..store import Head
from .failures import translated
from .opening import connect
from .reader import SqliteReader
from .verify import verify

PAGES = 1_000
"""Copied at a time: some milliseconds, after which Ctrl-C is heard."""

Report = Callable[[int, int], None]
"""Called now and then: how much is done, of how much."""


def copy_pages(path: str, target: str, report: Report = lambda _, __: None) -> Head:
    """Copy the database at `path` into the empty file `target`: its state of this moment.

    Returns the head of that state. Nothing is synced yet. Raises Full, ReadOnly or StorageFailed.
    """
    source = connect(path, readonly=True)
    try:
        with translated(target):
            source.execute("BEGIN")
            head = SqliteReader(source).head()  # from here on it is this state, whoever writes
            _copy(source, target, report)
        return head
    finally:
        source.close()


def _copy(source: apsw.Connection, target: str, report: Report) -> None:
    copy = apsw.Connection(target, apsw.SQLITE_OPEN_READWRITE)
    try:
        # Whoever is killed leaves a file under a name that nobody opens.
        copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF").fetchall()
        with copy.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(PAGES)
                report(copying.page_count - copying.remaining, copying.page_count)
    finally:
        copy.close()


def check_copy(
    path: str, source: str, head: Head, report: Report = lambda _, __: None
) -> list[tuple[str, int]]:
    """Look at each page and each record of a copy that nobody else has open, and change nothing.

    source: what it is a copy of, for the error. head: of that moment. Returns job and attempt of
    each output that it names and that stands in files. Raises ChainBroken where the log is not what
    was written, StorageFailed where a page is damaged.
    """
    copy = _immutable(path)
    try:
        with translated(source):
            tx = SqliteReader(copy)
            verdict = verify(tx, head, lambda done: report(done, head.position))
            if verdict.broken:
                raise ChainBroken(*verdict.broken)
            found = tx.query("PRAGMA integrity_check(1)")[0][0]
            if found != "ok" or verdict.head != head:
                raise StorageFailed(source, f"a copy of it is not sound ({found})")
            return [(job, attempt) for job, attempt in tx.rows(IN_FILES)]
    finally:
        copy.close()


def first_hash(tx: SqliteReader) -> bytes | None:
    """The hash of the first record, by which states of one queue are known; None where empty."""
    found = tx.query("SELECT hash FROM events WHERE position = 1")
    return bytes(found[0][0]) if found else None


def first_hash_of_copy(path: str) -> bytes | None:
    """The same of a copy that nobody else has open. Raises StorageFailed where it is damaged."""
    copy = _immutable(path)
    try:
        with translated(path):
            return first_hash(SqliteReader(copy))
    finally:
        copy.close()


def _immutable(path: str) -> apsw.Connection:
    """A file read as it stands, without a lock and without files beside it."""
    uri = f"{Path(path).as_uri()}?immutable=1"
    return apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


# Each row once: a copy looks at all of them anyway.
IN_FILES = "SELECT job, attempt FROM outputs WHERE kept IS NULL AND total_bytes > 0"
