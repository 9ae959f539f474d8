"""Copying a snapshot of a queue file while other processes write to it, and verifying the copy."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from ..errors import ChainBroken, HeadMissing, StorageFailed
from ..store import Head, OnProgress, Reader
from ..verify import verify
from .error_translation import RESTORE, translated
from .opening import connect
from .reader import SqliteReader

PAGES = 1_000
"""Pages copied per step. A step takes some milliseconds; Ctrl-C is handled between two steps."""


def copy_pages(path: str, target: str, on_progress: OnProgress = lambda _, __: None) -> Head:
    """Copy the current state of the database at `path` into the empty file `target`.

    Return the head of that state. The copy is not synced to disk yet. Raises Full, ReadOnly or
    StorageFailed.
    """
    source = connect(path, readonly=True)
    try:
        with translated(target):
            source.execute("BEGIN")
            head = SqliteReader(source).head()  # this read fixes the snapshot that is copied
            _copy(source, target, on_progress)
        return head
    finally:
        source.close()


def _copy(source: apsw.Connection, target: str, on_progress: OnProgress) -> None:
    copy = apsw.Connection(target, apsw.SQLITE_OPEN_READWRITE)
    try:
        # No journal is needed: if this process is killed, the unfinished file is never opened.
        copy.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF").fetchall()
        with copy.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(PAGES)
                on_progress(copying.page_count - copying.remaining, copying.page_count)
    finally:
        copy.close()


class Copy(NamedTuple):
    """The content of a verified copy."""

    head: Head
    first_hash: str | None
    """The hash of the first record; None if there is none."""
    in_files: list[tuple[str, int]]
    """Job and attempt of each output that is stored in files."""


def check_copy(
    path: str,
    source: str,
    expected: Head | None,
    on_progress: OnProgress = lambda _, __: None,
) -> Copy:
    """Check each page and each record of a copy that no other process has open; change nothing.

    source: the file that error messages name. expected: a head that the log must contain.
    Raises ChainBroken if the log was changed, HeadMissing if it does not contain `expected`, and
    StorageFailed if a page is damaged.
    """
    with open_copy(path, source) as tx:
        verdict = verify(tx, expected, on_progress)
        if verdict.broken:
            raise ChainBroken(*verdict.broken)
        if expected is not None and verdict.contradicts:
            raise HeadMissing(expected.position, verdict.records, verdict.actual_hash)
        if problem := tx.damage():
            raise StorageFailed(source, f"the file is damaged ({problem})", RESTORE)
        in_files = [(job, attempt) for job, attempt in tx.rows(IN_FILES)]
        return Copy(verdict.head, tx.hash_at(1), in_files)


def first_hash_of_copy(path: str) -> str | None:
    """Return the hash of the first record of a copy that no other process has open.

    Files with the same first hash are states of the same queue. None if the log is empty. Raises
    StorageFailed if the copy is damaged.
    """
    with open_copy(path, path) as tx:
        return tx.hash_at(1)


def delete_outputs(path: str, outputs: Iterable[tuple[str, int]]) -> None:
    """Delete the outputs of these attempts (job and number) from a new copy. Nothing is synced.

    Raises Full or StorageFailed.
    """
    with translated(path):
        connection = apsw.Connection(path, apsw.SQLITE_OPEN_READWRITE)
        try:
            # Exclusive: no -shm. Closing moves the -wal into the file.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF").fetchall()
            with connection:
                connection.executemany(DELETE_OUTPUT, outputs)
        finally:
            connection.close()


@contextmanager
def open_copy(path: str, name: str) -> Iterator[Reader]:
    """Read a copy without locking it and without creating files next to it.

    name: the file that error messages name.
    """
    uri = f"{Path(path).as_uri()}?immutable=1"
    with translated(name):
        connection = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        with translated(name):
            yield SqliteReader(connection)
    finally:
        connection.close()


# Reads the whole table: a copy is read completely anyway.
IN_FILES = "SELECT job, attempt FROM outputs WHERE kept IS NULL AND total_bytes > 0"

# By the primary key.
DELETE_OUTPUT = "DELETE FROM outputs WHERE job = ? AND attempt = ?"
