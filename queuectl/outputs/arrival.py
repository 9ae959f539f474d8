"""Long outputs that are still on their way from the machines of their workers."""

import time

from eventstore.store import Reader, Store

ARRIVAL_S, PAUSE_S = 5.0, 0.2
"""How long to wait for outputs of attempts that have just ended, and the pause between two looks.

If a machine was lost, its outputs never arrive.
"""

Attempt = tuple[str, int]
"""The id of a job, and the number of its attempt."""


def on_their_way(tx: Reader, store: Store) -> set[Attempt]:
    """Return the attempts whose long output has not arrived completely; wait a little for it.

    tx: a snapshot of the log, in this store or a copy. store: None is on its way to a file.
    """
    if not store.distant:
        return set()
    long = {
        (row.job, row.attempt): row.kept_bytes or 0
        for row in tx.recorded_outputs()
        if row.total_bytes is not None and row.kept is None
    }
    end_s = time.monotonic() + ARRIVAL_S
    while late := {key for key, kept_bytes in long.items() if not store.has_all(*key, kept_bytes)}:
        if time.monotonic() > end_s:
            return late
        time.sleep(PAUSE_S)
        long = {key: long[key] for key in late}
    return set()
