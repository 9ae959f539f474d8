"""Reading a queue without writing to it; a queue without a file is read as an empty one."""

import errno
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from eventstore.errors import Away, Gone, Missing, ReadOnly
from eventstore.events.recorded import Recorded
from eventstore.location import Location, open_store
from eventstore.log_reader import READ_HEAD
from eventstore.scratch import scratch
from eventstore.store import Ahead, Doorbell, Reader, Store
from projections.errors import NewerReadModels, StaleReadModels
from projections.registry import READ_CHECKPOINT, checkpoint, first_schema, freshness

BELL_TIMEOUT_S = 30.0
"""Longest wait for the doorbell. A writer may die between its commit and its ring."""

FILE_CHECK_S = 1.0
"""How often to check the path while waiting: nothing rings the doorbells of a moved file."""

POLL_S = 0.5
"""How often to read the log if the folder is read-only, so that there is no doorbell."""

AWAY_S, AWAY_PAUSE_S = 75.0, 0.5
"""How long a command that waits for new events tries to reach its server, and the pauses."""

Result = TypeVar("Result")

PAGE = 1_000
"""Events to read per transaction: a slow reader must not prevent checkpoints of the WAL."""


class Reading:
    """A queue file that is opened for reading.

    A missing file is read as an empty queue, unless it was named by `--db`.
    """

    def __init__(self, location: Location, key: str | None = None) -> None:
        """key: the key that the queue must have; None accepts any queue."""
        self.location, self._key = location, key
        self._store: Store | None = None
        self._bell: Doorbell | None = None
        self._output: int | None = None

    @property
    def store(self) -> Store | None:
        """The open store; None while there is no file."""
        if self._store is None:
            try:
                self._store = self._opened()
            except Missing:
                if self._key is not None:
                    raise Gone(self.location.name) from None
                if self.location.named:
                    raise
        return self._store

    def _opened(self) -> Store:
        store = open_store(self.location.place, readonly=True)
        if self._key not in (None, store.key):
            store.close()
            raise Gone(self.location.name)
        return store

    @contextmanager
    def read(self, ahead: Ahead = tuple) -> Iterator[Reader]:
        """Return a snapshot of the queue that is valid until the block ends.

        ahead: returns queries that will be needed; on a server they are run together.
        After `listen`, this waits for a server that does not answer, such as during a restart.
        Raises StaleReadModels if the read models must be rebuilt first, and NewerReadModels.
        """
        store = self.store
        if store is None:
            with scratch(first_schema) as tx:
                yield tx
            return
        with ExitStack() as stack:
            yield self._patiently(partial(self._begin, store, stack, ahead))

    def events(
        self, after: int = 0, upto: int | None = None, stream: str | None = None
    ) -> Iterator[Recorded]:
        """Iterate over the events after this position, in order, with one transaction per page."""
        while True:
            page = self._patiently(partial(self._page, after, upto, stream))
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].position

    def await_more(self, timeout_s: float | None = None) -> bool:
        """Wait for new events. Call `listen` before the first read, or some may be missed.

        timeout_s: None waits without limit. Return False if this time is over, else True, perhaps
        without new events. Raises Gone if the file was deleted or replaced, and BrokenPipeError if
        `watch_output` was called and the reader of standard output has closed it.
        """
        longest = BELL_TIMEOUT_S if self._bell else POLL_S
        wait_s = longest if timeout_s is None else min(timeout_s, longest)
        end = time.monotonic() + wait_s
        while not self._rung(min(FILE_CHECK_S, end - time.monotonic())):
            if time.monotonic() >= end:
                break
        return timeout_s is None or wait_s < timeout_s

    def watch_output(self) -> None:
        """Let `await_more` raise BrokenPipeError as soon as standard output has no reader."""
        self._output = sys.stdout.fileno()

    def listen(self) -> None:
        """Create a doorbell, so that writers wake `await_more`. Call it before the first read."""
        if self._bell is None and self.store is not None:
            try:
                self._bell = self.store.doorbell()
            except (ReadOnly, OSError):
                self._bell = None

    def close(self) -> None:
        """Close the file and remove the doorbell."""
        if self._bell:
            self._bell.close()
        if self._store:
            self._store.close()
        self._bell = self._store = None

    def _begin(self, store: Store, stack: ExitStack, ahead: Ahead) -> Reader:
        """Begin to read, until the stack is closed."""
        stack.close()  # ends what an earlier try has begun
        reader = stack.enter_context(store.read(lambda: (READ_CHECKPOINT, READ_HEAD, *ahead())))
        refuse_unfit(reader)
        return reader

    def _patiently(self, run: Callable[[], Result]) -> Result:
        """Run it, again if the server is away and this command waits for new events."""
        end_s = time.monotonic() + AWAY_S
        while True:
            try:
                return run()
            except Away:
                if self._bell is None or time.monotonic() >= end_s:
                    raise
                time.sleep(AWAY_PAUSE_S)

    def _rung(self, wait_s: float) -> bool:
        """Wait for the bell, at most `wait_s`; return True if it has rung.

        Raises Gone if the path no longer leads to the file.
        """
        rung = self._wait(wait_s)
        if self._bell is not None:
            self._bell.drain()
        if self._store is not None:
            try:
                self._store.refuse_gone()
            except Away:
                pass  # the next read waits for the server
        return rung

    def _wait(self, wait_s: float) -> bool:
        """Wait for the bell, at most `wait_s`; return True if it has rung."""
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
            return [event for event, _ in zip(events, range(PAGE), strict=False)]


def refuse_unfit(tx: Reader, head: int | None = None) -> None:
    """Raise NewerReadModels or StaleReadModels if the tables do not match this version and log.

    head: the log's last position, if the caller knows it.
    """
    current = checkpoint(tx)
    if (age := freshness(current)) == "newer":
        raise NewerReadModels()
    if age == "stale" or current.position != (tx.head().position if head is None else head):
        raise StaleReadModels()
