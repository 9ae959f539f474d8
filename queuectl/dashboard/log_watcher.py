"""Wait for the log to grow: one thread watches it for all open streams.

Each stream runs on a thread of the server and blocks in `wait`. The watcher thread starts with the
first stream, waits at the doorbell, publishes each new position, and ends after the last stream.
The condition `_changed` guards all attributes and is notified of each new position. Each thread
has its own connection to the file. See docs/decisions/0006.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.errors import StoreError
from queuectl.core.snapshot import Reading

from .connections import Source

POSITION_CHECK_S = 1.0
"""Seconds between two checks that streams are open and that the file was not replaced."""


class LogWatcher:
    """The last position of the log, for streams that wait until it changes."""

    def __init__(self, source: Source, max_streams: int) -> None:
        self._source, self._max_streams = source, max_streams
        self._changed = threading.Condition()
        self._streams = 0
        self._listening = False
        self._position: int | None = None
        self._closed = False

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Count a stream as open during the block. Yields False if too many are open already."""
        with self._changed:
            admitted = self._streams < self._max_streams and not self._closed
            if admitted:
                self._streams += 1
                if not self._listening:
                    self._listening = True
                    threading.Thread(target=self._listen, name="log-watcher", daemon=True).start()
        try:
            yield admitted
        finally:
            if admitted:
                with self._changed:
                    self._streams -= 1

    @property
    def closed(self) -> bool:
        """Whether the server is stopping, so that streams must end."""
        return self._closed

    def close(self) -> None:
        """End all streams."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """Wait until the log has another position than `after`, and return that position.

        Return earlier after `timeout_s`, or if the server is stopping.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._position not in (None, after) or self._closed, timeout_s
            )
            return after if self._position is None else self._position

    def _listen(self) -> None:
        """Watch the log until the last stream is closed. Runs on the watcher's thread."""
        with self._changed:
            self._position = None
        try:
            while self._has_streams():
                try:
                    self._follow(self._source.reading())
                except StoreError:  # gone, replaced or unreadable: the next page reports it
                    self._pause()
        finally:
            self._source.close()

    def _follow(self, reading: Reading) -> None:
        """Publish the position, then wait for the log to grow. Raises StoreError."""
        reading.listen()
        self._publish(reading)
        reading.await_more(POSITION_CHECK_S)

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, POSITION_CHECK_S)

    def _has_streams(self) -> bool:
        with self._changed:
            self._listening = self._streams > 0 and not self._closed
            return self._listening

    def _publish(self, reading: Reading) -> None:
        position = 0 if reading.store is None else reading.store.head().position
        with self._changed:
            if position != self._position:
                self._position = position
                self._changed.notify_all()
