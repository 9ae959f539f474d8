"""Server-sent events: an open page learns from them that the log or an output has grown.

See docs/decisions/0006.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from eventstore.errors import StoreError
from projections.read_models import jobs

from . import job_output
from .connections import Source
from .log_watcher import LogWatcher

QUIET_S = 2.0
"""Seconds between two checks that the client is still connected."""
OUTPUT_S = 0.3
"""Seconds between two checks of the output of a running job."""
WAITS_PER_COMMENT = 5
"""A comment is sent after this many waits without an event, so that proxies do not disconnect."""
REST_S = 0.5
"""The minimum seconds between two events: a page must not flicker while the log grows fast."""
RETURN_MS = 5_000
"""Milliseconds until a client that was refused a stream asks again. That is how it polls."""


class ShownOutput(NamedTuple):
    """The output of an attempt that a page shows, up to the offset `end` (in bytes)."""

    job_id: str
    attempt: int
    end: int


def stream_events(
    log_watcher: LogWatcher,
    source: Source,
    position: int,
    shown: ShownOutput | None,
    is_disconnected: Callable[[], bool],
) -> Iterator[str]:
    """Yield the events of one stream until its client disconnects or the server stops.

    position: the log position that the client's page shows. shown: the output on that page, whose
    growth is reported; None if the page shows no output.
    """
    with log_watcher.stream() as admitted:
        if not admitted:
            yield from _poll_answer(source, position)
            return
        yield ": live\n\n"
        output = _OutputGrowth(source, shown)
        waits = 0
        while not is_disconnected():
            latest = log_watcher.wait(position, output.timeout_s)
            if log_watcher.closed:
                return
            events = _moved(latest) if latest != position else ""
            position = latest
            try:
                events += output.event(log_grew=bool(events))
            except StoreError:
                return  # the client fetches the page again, which shows the error
            waits = 0 if events else waits + 1
            if events:
                yield events
                time.sleep(REST_S)
            elif waits % WAITS_PER_COMMENT == 0:
                yield ": still here\n\n"


def _moved(position: int) -> str:
    return f"id: {position}\nevent: moved\ndata: {position}\n\n"


def _poll_answer(source: Source, position: int) -> Iterator[str]:
    """Yield the answer to a client that has to poll because all streams are taken."""
    with source.read() as tx:
        latest = tx.head().position
    if latest != position:
        yield _moved(latest)
    yield f"event: later\nretry: {RETURN_MS}\ndata: {RETURN_MS}\n\n"


class _OutputGrowth:
    """The output of a job's last attempt, and how much of it the client knows."""

    def __init__(self, source: Source, shown: ShownOutput | None) -> None:
        self._source, self._shown = source, shown
        self._running = shown is not None

    @property
    def timeout_s(self) -> float:
        """Seconds to wait before the next check."""
        return OUTPUT_S if self._running else QUIET_S

    def event(self, *, log_grew: bool) -> str:
        """Return an event if the output has grown, else an empty text.

        log_grew: whether the log has new events, so that another attempt may run.
        """
        shown = self._shown
        if shown is None or not (self._running or log_grew):
            return ""
        with self._source.read() as tx:
            job = jobs.get(tx, shown.job_id)
            if job is None:
                return ""
            self._running = job.state == "processing"
            from_byte = shown.end if job.attempt == shown.attempt else 0
            end = job_output.end_offset(tx, self._source, job.id, job.attempt, from_byte)
        store = self._source.reading().store
        if self._running and store is not None:
            store.follow_output(job.id, job.attempt)
        self._shown = ShownOutput(job.id, job.attempt, end)
        if self._shown == shown:
            return ""
        return f"event: output\ndata: {job.attempt}:{end}\n\n"
