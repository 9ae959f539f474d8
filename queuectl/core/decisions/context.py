"""The rule of the contexts: the directories and PATHs from which jobs are enqueued."""

from eventstore.events.context import ContextRecorded
from projections.folds.context import Context

from ..requests import RecordContext


def decide(_: Context | None, request: RecordContext) -> tuple[ContextRecorded, ...]:
    """Return the event. The caller has checked that the context is not recorded yet."""
    return (ContextRecorded(cwd=request.cwd, path=request.path),)
