"""What a commit announces to the listeners: which events are news, and the channels of a queue.

Each announcement is a NOTIFY in the transaction of the append, so that no other commit waits for
the disk because of it. See docs/decisions/0020.
"""

from collections.abc import Iterable
from typing import Literal

Channel = Literal["work", "log"]
"""`work`: the news that workers wait for. `log`: all commits, while somebody follows the log."""

NEWS = frozenset(
    {
        "enqueued",
        "fell-due",
        "released",
        "requeued",
        "rescheduled",  # workers set their alarms by it
        "cancel-requested",
        "stop-requested",
        "worker-started",
        "worker-stopped",
        "worker-lost",
        "config-changed",
        "log-moved",
    }
)
"""Types of the events that a worker waits for."""

QUIET = frozenset(
    {
        "claimed",
        "succeeded",
        "failed",
        "scheduled-retry",  # the worker that recorded it has set its own alarm
        "dead",
        "cancelled",
        "context-recorded",
    }
)
"""Types of the events that change nothing for the other workers."""


def channel_name(key: str, channel: Channel) -> str:
    """Return the name of a channel of the queue with this key."""
    return f"queuectl_{key.replace('-', '')}_{channel}"


def announcements(key: str, position: int, channels: Iterable[Channel]) -> list[str]:
    """Return the statements that announce a commit.

    position: of its last event.
    """
    return [f"NOTIFY {channel_name(key, channel)}, '{position}'" for channel in channels]
