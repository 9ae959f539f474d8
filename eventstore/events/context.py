"""The event that records where jobs were enqueued from: each pair of directory and PATH once."""

from .fact import Fact


class ContextRecorded(Fact, frozen=True, kw_only=True):
    """A directory and PATH from which jobs are enqueued; the rest of the environment is not logged.

    `Enqueued` events refer to it by its position.
    """

    cwd: str
    path: str


ContextEvent = ContextRecorded
