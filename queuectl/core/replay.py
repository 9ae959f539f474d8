"""Rebuilding the read models; only one rebuild runs at a time. See docs/decisions/0011."""

import time
from typing import TYPE_CHECKING

from eventstore.store import OnProgress, Store

from ..errors import ReplayRunning
from .collector import collector_off

if TYPE_CHECKING:
    from projections.rebuild import Contention

PAUSE_S = 0.002
"""Shortest pause. Waiting writers try to lock every millisecond, so they can lock during it."""

PAUSE_FRACTION = 0.25
"""While other processes write, a pause lasts at least this fraction of the last slice.

On a busy machine, a writer that wakes up must wait for a processor before it can lock.
"""

FOR_READERS_S = 1.0
"""Pause after others have read the tables for too long: new readers wait during each try."""


def replay(store: Store, on_progress: OnProgress = lambda _, __: None) -> int:
    """Rebuild all read models from the log while other processes use the queue.

    Return the position of the last event that was folded. Raises ReplayRunning if another rebuild
    is running, and ChainBroken if the log is damaged.
    """
    from projections.rebuild import rebuild

    with store.alone("replay") as alone:
        if not alone:
            raise ReplayRunning()
        with collector_off():
            return rebuild(store, on_progress=on_progress, pause=_Pause())


class _Pause:
    """Sleeps between two slices; longer after a long slice while other processes write."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()

    def __call__(self, contention: "Contention") -> None:
        if contention == "readers":
            time.sleep(FOR_READERS_S)
        took_s = time.monotonic() - self._since_s
        time.sleep(max(PAUSE_S, took_s * PAUSE_FRACTION if contention == "others" else 0))
        self._since_s = time.monotonic()
