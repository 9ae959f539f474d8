"""The queue as a reader sees it: read-only, and empty where there is no file yet."""

import errno
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.errors import Gone, Missing, ReadOnly
from eventstore.events.recorded import Recorded
from eventstore.location import Location, open_store
from eventstore.sqlite.doorbell import SqliteDoorbell
from eventstore.sqlite.log import SqliteStore
from eventstore.sqlite.reader import SqliteReader
from eventstore.sqlite.temporary import scratch
from projections.errors import NewerReadModels, StaleReadModels
from projections.registry import checkpoint, first_schema, freshness

LOOK_AGAIN_S = 30.0
"""How long to rely on being woken: a writer may die between its commit and its ring."""

FILE_CHECK_S = 1.0
"""How often to check the path while waiting: nobody rings the bells of a file that was moved."""

POLL_S = 0.5
"""Where no bell can be hung, since the folder may not be written."""

PAGE = 1_000
"""Events read in one transaction: a reader who dawdles must not keep the WAL from shrinking."""


class Reading:
    """A queue file opened to read; one that is missing, and was not named, is an empty queue."""

    def __init__(self, location: Location, file: tuple[int, int] | None = None) -> None:
        """file: device and inode of the file that it must be; None takes what is there."""
        self.location, self._file = location, file
        self._store: SqliteStore | None = None
        self._bell: SqliteDoorbell | None = None
        self._output: int | None = None

    @property
    def store(self) -> SqliteStore | None:
        """The open store; None while there is no file."""
        if self._store is None:
            try:
                self._store = self._opened()
            except Missing:
                if self._file is not None:
                    raise Gone(self.location.path) from None
                if self.location.named:
                    raise
        return self._store

    def _opened(self) -> SqliteStore:
        store = open_store(self.location.path, readonly=True)
        if self._file not in (None, store.identity):
            store.close()
            raise Gone(self.location.path)
        return store

    @contextmanager
    def read(self) -> Iterator[SqliteReader]:
        """One state of the queue. Raises StaleReadModels where they must be rebuilt first."""
        store = self.store
        if store is None:
            with scratch(first_schema()) as tx:
                yield tx
            return
        with store.read() as reader:
            refuse_unfit(reader)
            yield reader

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """The events after this position, in order, a page a transaction."""
        while True:
            page = self._page(after, upto, stream)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].position

    def await_more(self, timeout_s: float | None = None) -> bool:
        """Wait until the log may have grown. Call `listen` before the first read.

        timeout_s: None waits without limit. Returns False if the time ran out. Raises Gone if the
        file was deleted or replaced by another one, and BrokenPipeError if `mind_reader` was called
        and nobody reads standard output any more.
        """
        longest = LOOK_AGAIN_S if self._bell else POLL_S
        wait_s = longest if timeout_s is None else min(timeout_s, longest)
        end = time.monotonic() + wait_s
        while not self._rung(min(FILE_CHECK_S, end - time.monotonic())):
            if time.monotonic() >= end:
                break
        return timeout_s is None or wait_s < timeout_s

    def mind_reader(self) -> None:
        """From now on `await_more` ends as soon as nobody reads standard output any more."""
        self._output = sys.stdout.fileno()

    def listen(self) -> None:
        """From now on writers wake `await_more`; call it before the first read."""
        if self._bell is None and self.store is not None:
            try:
                self._bell = self.store.doorbell()
            except (ReadOnly, OSError):
                self._bell = None

    def close(self) -> None:
        """Let go of the file, and of the bell."""
        if self._bell:
            self._bell.close()
        if self._store:
            self._store.close()
        self._bell = self._store = None

    def _rung(self, wait_s: float) -> bool:
        """Wait so long for the bell, then check that the file is still there."""
        rung = self._wait(wait_s)
        if self._bell is not None:
            self._bell.drain()
        if self._store is not None:
            self._store.refuse_gone()
        return rung

    def _wait(self, wait_s: float) -> bool:
        """Wait so long. Returns whether the bell has rung."""
        poll = select.poll()
        if self._bell is not None:
            poll.register(self._bell, select.POLLIN)
        if self._output is not None:
            poll.register(self._output, 0)  # errors and hang-ups are always reported
        ready = poll.poll(max(0.0, wait_s) * 1000)
        if any(descriptor == self._output for descriptor, _ in ready):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return bool(ready)

    def _page(self, after: int, upto: int | None, stream: str | None) -> list[Recorded]:
        if self.store is None:
            return []
        with self.store.read() as tx:
            events = tx.events(after, upto, stream)
            return [one for one, _ in zip(events, range(PAGE), strict=False)]


def refuse_unfit(tx: SqliteReader, head: int | None = None) -> None:
    """Raise where the read models are not what this version derives from this log.

    head: the log's last position, where the caller knows it.
    """
    found = checkpoint(tx)
    if (fitness := freshness(found)) == "newer":
        raise NewerReadModels()
    if fitness == "stale" or found.position != (tx.head().position if head is None else head):
        raise StaleReadModels()
