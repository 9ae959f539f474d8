"""Rebuilding the read models, one at a time."""

import gc
import time
from typing import TYPE_CHECKING

from eventstore.sqlite.log import SqliteStore
from eventstore.store import OnProgress

from ..errors import ReplayRunning

if TYPE_CHECKING:
    from projections.rebuild import Company

PAUSE_S = 0.002
"""Writers that wait look for the lock each millisecond: two give each a chance between slices."""

PAUSED = 0.25
"""At least this part of a slice after which others wrote: a writer that wakes on a busy machine
has to get a processor."""


def replay(store: SqliteStore, on_progress: OnProgress = lambda _, __: None) -> int:
    """Rebuild all read models from the log while others work. Returns the position reached.

    Raises ReplayRunning where another rebuild runs, ChainBroken where the log is damaged.
    """
    from projections.rebuild import rebuild

    lock = store.lock("replay")
    if not lock.acquire():
        raise ReplayRunning()
    collecting = gc.isenabled()
    gc.disable()  # folding makes no cycles, and looking for them takes a twentieth
    try:
        return rebuild(store, on_progress=on_progress, pause=_Breath())
    finally:
        if collecting:
            gc.enable()
        lock.remove()


class _Breath:
    """The pause between two slices, longer after a long one while others write."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()

    def __call__(self, company: "Company") -> None:
        took_s = time.monotonic() - self._since_s
        time.sleep(max(PAUSE_S, took_s * PAUSED if company == "others" else 0))
        self._since_s = time.monotonic()
