"""Where jobs were enqueued from: a distinct pair of directory and PATH, recorded once."""

from .fact import Fact


class ContextRecorded(Fact, frozen=True, kw_only=True):
    """Enqueued events name this one by its position. Other environment stays out of the log."""

    cwd: str
    path: str


ContextEvent = ContextRecorded
