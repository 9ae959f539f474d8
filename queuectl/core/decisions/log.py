"""The rule of the log as a whole."""

from eventstore.events.log import LogMoved
from projections.folds.log import LogMove

from ..requests import MoveLog


def decide(_: LogMove | None, request: MoveLog) -> tuple[LogMoved, ...]:
    """Return the event. A log that has moved refuses all writes before they are decided."""
    return (LogMoved(to=request.to, position=request.position, hash=request.hash),)
