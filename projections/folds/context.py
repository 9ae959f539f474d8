"""The state of the contexts: the directory and PATH that were recorded last.

The table `contexts` has all of them.
"""

from typing import assert_never

import msgspec

from eventstore.events.context import ContextEvent, ContextRecorded
from eventstore.events.recorded import Recorded


class Context(msgspec.Struct, frozen=True, gc=False):
    """A working directory and a PATH, named by the position of the event that recorded them."""

    version: int
    position: int
    cwd: str
    path: str


def evolve(_: Context | None, recorded: Recorded) -> Context:
    """Return the context that `recorded` has added."""
    event: ContextEvent = recorded.event  # type: ignore[assignment]
    match event:
        case ContextRecorded():
            return Context(recorded.version, recorded.position, event.cwd, event.path)
        case _:
            assert_never(event)
