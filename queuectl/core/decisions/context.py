"""The rule of the contexts: where jobs are enqueued from."""

from eventstore.events.context import ContextRecorded
from projections.folds.context import Context

from ..requests import RecordContext


def decide(_: Context | None, request: RecordContext) -> tuple[ContextRecorded, ...]:
    """Return the event; the caller has made sure that the context is not recorded yet."""
    return (ContextRecorded(cwd=request.cwd, path=request.path),)
