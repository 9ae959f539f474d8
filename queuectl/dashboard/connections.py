"""Read-only connections to the queue, one per thread, renewed if the queue is replaced."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.errors import Gone
from eventstore.location import Location, exists
from eventstore.store import Reader
from projections.folds.worker import Worker
from projections.read_models import workers
from queuectl.core.snapshot import Reading
from queuectl.worker.liveness import living


class Source:
    """A queue file that many threads read; each thread has its own connection."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._of_thread = threading.local()
        self._has_existed = False
        """Whether the file ever existed: then a missing file is an error, else an empty queue."""

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Yield a snapshot of the queue for the block; an empty one if the file never existed.

        Raises StoreError if the file cannot be read as a queue.
        """
        with self.reading().read() as tx:
            yield tx

    def reading(self) -> Reading:
        """Return this thread's connection, opened anew if the file was replaced."""
        opened: Reading | None = getattr(self._of_thread, "reading", None)
        if opened is None or _replaced(opened):
            self.close()
            opened = Reading(Location(self.place, "--db" if self._has_existed else "dashboard"))
            self._of_thread.reading = opened
        self._has_existed = self._has_existed or exists(opened.location)
        return opened

    def living(self, tx: Reader) -> list[Worker]:
        """Return the workers that are alive, longest running first. Call it inside `read`."""
        opened: Reading = self._of_thread.reading
        return living(opened.store, workers.active(tx))

    def close(self) -> None:
        """Close this thread's connection."""
        if (opened := getattr(self._of_thread, "reading", None)) is not None:
            opened.close()
        self._of_thread.reading = None


def _replaced(opened: Reading) -> bool:
    """Return whether the open file was replaced by another file or removed."""
    if opened.store is None:
        return False
    try:
        opened.store.refuse_gone()
    except Gone:
        return True
    return False
