"""Rebuilding the read models, one at a time."""

import time

from eventstore.sqlite.log import SqliteStore
from projections.rebuild import Report, rebuild

from .errors import ReplayRunning

PAUSE_S = 0.002
"""Writers that wait look for the lock each millisecond: two give each a chance between slices."""


def replay(store: SqliteStore, report: Report = lambda _: None) -> int:
    """Rebuild all read models from the log while others work. Returns the position reached.

    Raises ReplayRunning where another rebuild runs, ChainBroken where the log is damaged.
    """
    lock = store.lock("replay")
    if not lock.acquire():
        raise ReplayRunning()
    try:
        return rebuild(store, report=report, pause=lambda: time.sleep(PAUSE_S))
    finally:
        lock.release()
