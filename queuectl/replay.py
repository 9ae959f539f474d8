"""Rebuilding the read models, one at a time."""

import time
from typing import TYPE_CHECKING

from eventstore.sqlite.log import SqliteStore

from .errors import ReplayRunning

if TYPE_CHECKING:
    from projections.rebuild import Report

PAUSE_S = 0.002
"""Writers that wait look for the lock each millisecond: two give each a chance between slices."""


def replay(store: SqliteStore, report: "Report" = lambda _: None) -> int:
    """Rebuild all read models from the log while others work. Returns the position reached.

    Raises ReplayRunning where another rebuild runs, ChainBroken where the log is damaged.
    """
    from projections.rebuild import rebuild

    lock = store.lock("replay")
    if not lock.acquire():
        raise ReplayRunning()
    try:
        return rebuild(store, report=report, pause=lambda: time.sleep(PAUSE_S))
    finally:
        lock.release()
