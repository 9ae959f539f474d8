"""The queue file as the pages see it: read-only, and opened again when another stands there."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.location import Location
from eventstore.sqlite.reader import SqliteReader
from queuectl.core.snapshot import Reading


class Source:
    """Reads one queue file from many threads; each thread has a connection of its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._of_thread = threading.local()
        self._was_there = False
        """Whether to say that a missing file is gone, and not to show an empty queue."""

    @contextmanager
    def read(self) -> Iterator[SqliteReader]:
        """One state of the queue, until the block ends; an empty one where there is no file.

        Raises Unusable for a file that cannot be read as a queue.
        """
        with self.reading().read() as tx:
            yield tx

    def reading(self) -> Reading:
        """This thread's view of the file that stands there now."""
        opened: Reading | None = getattr(self._of_thread, "reading", None)
        if opened is None or _replaced(opened):
            self.close()
            opened = Reading(Location(self.path, "--db" if self._was_there else "dashboard"))
            self._of_thread.reading = opened
        self._was_there = self._was_there or os.path.exists(self.path)
        return opened

    def close(self) -> None:
        """Let go of this thread's connection."""
        if (opened := getattr(self._of_thread, "reading", None)) is not None:
            opened.close()
        self._of_thread.reading = None


def _replaced(opened: Reading) -> bool:
    """Whether another file, or none, has come in place of the open one."""
    try:
        found = os.stat(opened.location.path)
    except (FileNotFoundError, NotADirectoryError):
        return opened.store is not None
    return opened.store is not None and opened.store.identity != (found.st_dev, found.st_ino)
