"""A copy of a queue file, of one moment, while others go on writing; and whether it is sound."""

from pathlib import Path
from typing import NamedTuple

import apsw

from ..errors import ChainBroken, HeadMissing, StorageFailed
from ..store import Head, OnProgress
from .error_translation import RESTORE, translated
from .opening import connect
from .reader import SqliteReader
from .verify import verify

PAGES = 1_000
"""Copied at a time: some milliseconds, after which Ctrl-C is heard."""


def copy_pages(path: str, target: str, on_progress: OnProgress = lambda _, __: None) -> Head:
    """Copy the database at `path` into the empty file `target`: its state of this moment.

    Returns the head of that state. Nothing is synced yet. Raises Full, ReadOnly or StorageFailed.
    """
    source = connect(path, readonly=True)
    try:
        with translated(target):
            source.execute("BEGIN")
            head = SqliteReader(source).head()  # from here on it is this state, whoever writes
            _copy(source, target, on_progress)
        return head
    finally:
        source.close()


def _copy(source: apsw.Connection, target: str, on_progress: OnProgress) -> None:
    copy = apsw.Connection(target, apsw.SQLITE_OPEN_READWRITE)
    try:
        # Whoever is killed leaves a file under a name that nobody opens.
        copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF").fetchall()
        with copy.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(PAGES)
                on_progress(copying.page_count - copying.remaining, copying.page_count)
    finally:
        copy.close()


class Copy(NamedTuple):
    """What stands in a copy."""

    head: Head
    first_hash: bytes | None
    """The hash of the first record; None if there is none."""
    in_files: list[tuple[str, int]]
    """Job and attempt of each output that is stored in files."""


def check_copy(
    path: str,
    source: str,
    expected: Head | None,
    on_progress: OnProgress = lambda _, __: None,
) -> Copy:
    """Check each page and each record of a copy that nobody else has open, and change nothing.

    source: the name of the damaged file for the error. expected: a head that the log must contain.
    Raises ChainBroken if the log is not what was written, HeadMissing if it does not contain
    `expected`, and StorageFailed if a page is damaged.
    """
    copy = _immutable(path)
    try:
        with translated(source):
            tx = SqliteReader(copy)
            verdict = verify(tx, expected, on_progress)
            if verdict.broken:
                raise ChainBroken(*verdict.broken)
            if expected is not None and verdict.contradicts:
                raise HeadMissing(expected.position, verdict.records, verdict.actual_hash)
            found = tx.query("PRAGMA integrity_check(1)")[0][0]
            if found != "ok":
                raise StorageFailed(source, f"the file is damaged ({found})", RESTORE)
            in_files = [(job, attempt) for job, attempt in tx.rows(IN_FILES)]
            return Copy(verdict.head, first_hash(tx), in_files)
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
