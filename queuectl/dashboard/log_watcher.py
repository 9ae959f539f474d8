"""When the log has moved: one thread listens for all open streams, and none without any."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.errors import StoreError
from queuectl.core.snapshot import Reading

from .connections import Source

LOOK_AGAIN_S = 1.0
"""Beside the doorbell: whether streams are left, and whether another file stands there."""


class Pulse:
    """The position of the log, as something to wait for."""

    def __init__(self, source: Source, most_streams: int) -> None:
        self._source, self._most = source, most_streams
        self._moved = threading.Condition()
        self._streams = 0
        self._listening = False
        self._position: int | None = None
        self._closed = False

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Take part; False when there are as many streams as there may be."""
        with self._moved:
            admitted = self._streams < self._most and not self._closed
            if admitted:
                self._streams += 1
                if not self._listening:
                    self._listening = True
                    threading.Thread(target=self._listen, name="pulse", daemon=True).start()
        try:
            yield admitted
        finally:
            if admitted:
                with self._moved:
                    self._streams -= 1

    @property
    def closed(self) -> bool:
        """Whether the server is stopping: streams end."""
        return self._closed

    def close(self) -> None:
        """End all streams."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """The position as soon as it is not `after`; `after` when the time is up."""
        with self._moved:
            self._moved.wait_for(
                lambda: self._position not in (None, after) or self._closed, timeout_s
            )
            return after if self._position is None else self._position

    def _listen(self) -> None:
        """Runs until the last stream has gone."""
        with self._moved:
            self._position = None
        try:
            while self._wanted():
                try:
                    self._follow(self._source.reading())
                except StoreError:  # gone, replaced or unreadable: the next page reports it
                    self._pause()
        finally:
            self._source.close()

    def _follow(self, reading: Reading) -> None:
        """Report the position, then wait for the log to grow. Raises what the store raises."""
        reading.listen()
        self._tell(reading)
        reading.await_more(LOOK_AGAIN_S)

    def _pause(self) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._closed, LOOK_AGAIN_S)

    def _wanted(self) -> bool:
        with self._moved:
            self._listening = self._streams > 0 and not self._closed
            return self._listening

    def _tell(self, reading: Reading) -> None:
        position = 0 if reading.store is None else reading.store.head().position
        with self._moved:
            if position != self._position:
                self._position = position
                self._moved.notify_all()
