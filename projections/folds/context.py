"""The last directory and PATH from which a job was enqueued; the table `contexts` has all."""

import msgspec

from eventstore.events.context import ContextRecorded
from eventstore.events.recorded import Recorded

STREAM = "$context"


class Context(msgspec.Struct, frozen=True, gc=False):
    """A working directory and a PATH, named by the position of the event that recorded them."""

    version: int
    position: int
    cwd: str
    path: str


def evolve(_: Context | None, recorded: Recorded) -> Context:
    """Return the context that `recorded` has added."""
    event = recorded.event
    assert isinstance(event, ContextRecorded), f"{recorded.type} in {STREAM}"
    return Context(recorded.version, recorded.position, event.cwd, event.path)
