"""The server-sent events that tell an open page when to look again."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from eventstore.errors import StoreError
from projections.read_models import jobs

from . import job_output
from .connections import Source
from .log_watcher import Pulse

QUIET_S = 2.0
"""How long to wait for a move before looking whether the reader is still there."""
OUTPUT_S = 0.3
"""How often to look whether a running job has printed more."""
BEATS = 5
"""Silent waits before a comment goes out, so that what stands between keeps the line open."""
REST_S = 0.5
"""Shortest time between two moves told: a busy log must not make a page flicker."""
RETURN_MS = 5_000
"""When to come back, for a reader that found all streams taken: then it polls."""


class Shown(NamedTuple):
    """An attempt's output on a page."""

    job_id: str
    attempt: int
    end: int


def told(
    pulse: Pulse, source: Source, seen: int, shown: Shown | None, gone: Callable[[], bool]
) -> Iterator[str]:
    """The events of one stream, until its reader has `gone` or the server stops.

    seen: the position its page shows. shown: the output that its page shows, to tell its growth.
    """
    with pulse.stream() as admitted:
        if not admitted:
            yield from _once(source, seen)
            return
        yield ": live\n\n"
        watch = _Output(source, shown)
        silent = 0
        while not gone():
            position = pulse.wait(seen, watch.patience_s)
            if pulse.closed:
                return
            news = _moved(position) if position != seen else ""
            seen = position
            try:
                news += watch.news(moved=bool(news))
            except StoreError:
                return  # the page that comes back tells the person
            silent = 0 if news else silent + 1
            if news:
                yield news
                time.sleep(REST_S)
            elif silent % BEATS == 0:
                yield ": still here\n\n"


def _moved(position: int) -> str:
    return f"id: {position}\nevent: moved\ndata: {position}\n\n"


def _once(source: Source, seen: int) -> Iterator[str]:
    with source.read() as tx:
        position = tx.head().position
    if position != seen:
        yield _moved(position)
    yield f"event: later\nretry: {RETURN_MS}\ndata: {RETURN_MS}\n\n"


class _Output:
    """How far the job's running attempt has printed."""

    def __init__(self, source: Source, shown: Shown | None) -> None:
        self._source, self._shown = source, shown
        self._running = shown is not None

    @property
    def patience_s(self) -> float:
        """How long to wait before the next look."""
        return OUTPUT_S if self._running else QUIET_S

    def news(self, *, moved: bool) -> str:
        """An event where it has grown. moved: the log has, so the attempt may be another."""
        shown = self._shown
        if shown is None or not (self._running or moved):
            return ""
        with self._source.read() as tx:
            job = jobs.get(tx, shown.job_id)
            if job is None:
                return ""
            self._running = job.state == "processing"
            since = shown.end if job.attempt == shown.attempt else 0
            end = job_output.end(tx, self._source, job.id, job.attempt, since)
        self._shown = Shown(job.id, job.attempt, end)
        if self._shown == shown:
            return ""
        return f"event: output\ndata: {job.attempt}:{end}\n\n"
