"""An event with its place in the log."""

from typing import get_args

import msgspec

from .config import ConfigEvent
from .context import ContextEvent
from .fact import Fact, kebab
from .job import JobEvent
from .log import LogEvent
from .worker import WorkerEvent

Event = JobEvent | WorkerEvent | ConfigEvent | ContextEvent | LogEvent

EVENT_TYPES: dict[str, type[Fact]] = {kebab(kind.__name__): kind for kind in get_args(Event)}
"""The class of each type name in the log."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event and its place in the log. `data` and `hash` are byte for byte as stored."""

    position: int
    """1, 2, 3 … in the log, without gaps."""
    stream: str
    version: int
    """1, 2, 3 … in the stream."""
    type: str
    recorded_at_us: int
    """UTC, microseconds since 1970. Order is by position, never by time."""
    actor: str
    batch: int
    """Position of the first event of the same transaction."""
    cause: int | None
    """Position of the event that led to this one."""
    data: str
    hash: bytes
    event: Event
