"""Copying a snapshot of a queue file while other processes write to it."""

import apsw

from ..store import Head, OnProgress
from .error_translation import translated
from .opening import connect
from .reader import SqliteReader

PAGES = 1_000
"""Pages to copy per step. A step takes some milliseconds; Ctrl-C is handled between two steps."""


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
