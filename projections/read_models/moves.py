"""Where the log continues. There is no table: the log itself has one event of this kind, its last.

So a queue that never moves pays for nothing, and the answer does not depend on the tables.
"""

from eventstore.store import Reader

from ..folds.log import LogMove, evolve
from ..read_model import Tables
from ..streams import LOG


def load(tx: Reader, stream: str, _: Tables) -> LogMove | None:
    """Return the move of the log; None if it continues here."""
    newest = tx.newest(stream, 1)
    return evolve(None, newest[0]) if newest else None


def move(tx: Reader) -> LogMove | None:
    """Return the move of the log; None if it continues here."""
    return load(tx, LOG, {})
