"""The event of the log as a whole: it continues in another place."""

from typing import Annotated

from msgspec import Meta

from .fact import Fact


class LogMoved(Fact, frozen=True, kw_only=True):
    """The log continues at `to`, which has the same events up to the one before this.

    No event follows it here: all later writes are refused.
    """

    to: str
    """The path of a queue file, or the address of a queue on a server, without a password."""
    position: Annotated[int, Meta(ge=0)]
    """Position of the last event that both places have."""
    hash: str
    """The hash of that event, in hexadecimal."""


LogEvent = LogMoved
