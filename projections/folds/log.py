"""The state of the log as a whole: where it continues."""

from typing import assert_never

import msgspec

from eventstore.events.log import LogEvent, LogMoved
from eventstore.events.recorded import Recorded


class LogMove(msgspec.Struct, frozen=True, gc=False):
    """The move of the log to another place."""

    version: int
    position: int
    to: str
    """The path or address of the new place."""
    last_position: int
    """Position of the last event that both places have."""
    last_hash: str
    """The hash of that event, in hexadecimal."""


def evolve(_: LogMove | None, recorded: Recorded) -> LogMove:
    """Return the move that `recorded` has recorded."""
    event: LogEvent = recorded.event  # type: ignore[assignment]
    match event:
        case LogMoved():
            version, position = recorded.version, recorded.position
            return LogMove(version, position, event.to, event.position, event.hash)
        case _:
            assert_never(event)
