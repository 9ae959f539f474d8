"""The states of a worker: running, stopping, stopped or lost."""

from typing import Literal, assert_never

import msgspec
from msgspec.structs import replace

from eventstore.events.recorded import Recorded
from eventstore.events.worker import (
    StopRequested,
    WorkerEvent,
    WorkerLost,
    WorkerStarted,
    WorkerStopped,
)

from ..streams import name_in

WorkerState = Literal["running", "stopping", "stopped", "lost"]


class Worker(msgspec.Struct, frozen=True, gc=False):
    """A worker: one run of a supervisor process. Times are UTC, microseconds since 1970."""

    id: str
    """The name of its stream without the prefix `$worker:`."""
    started: WorkerStarted
    state: WorkerState
    version: int
    position: int
    started_at_us: int
    ended_at_us: int | None = None
    stop: Literal["drain", "now"] | None = None
    """The strongest stop that was requested; None if there was no request."""
    ended: str | None = None
    """Why it ended; None while it has not ended."""

    @property
    def active(self) -> bool:
        """True if it may still hold claims, according to the log."""
        return self.state in ("running", "stopping")


def evolve(worker: Worker | None, recorded: Recorded) -> Worker:
    """Return the worker after `recorded`."""
    event = recorded.event
    if worker is None:
        assert isinstance(event, WorkerStarted), f"{recorded.stream} begins with {recorded.type}"
        return Worker(
            id=name_in(recorded.stream),
            started=event,
            state="running",
            version=recorded.version,
            position=recorded.position,
            started_at_us=recorded.recorded_at_us,
        )
    return _step(worker, event, recorded)  # type: ignore[arg-type]


def _step(worker: Worker, event: WorkerEvent, recorded: Recorded) -> Worker:
    worker = replace(worker, version=recorded.version, position=recorded.position)
    match event:
        case StopRequested():
            how = "now" if "now" in (event.how, worker.stop) else "drain"
            return replace(worker, state="stopping", stop=how)
        case WorkerStopped():
            return replace(
                worker, state="stopped", ended=event.reason, ended_at_us=recorded.recorded_at_us
            )
        case WorkerLost():
            return replace(worker, state="lost", ended="lost", ended_at_us=recorded.recorded_at_us)
        case WorkerStarted():
            raise AssertionError(f"worker {worker.id} is started twice, at {recorded.position}")
        case _:
            assert_never(event)
