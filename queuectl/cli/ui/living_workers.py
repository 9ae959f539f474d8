"""Find the workers that are alive, for commands that show them or say that none is running."""

from collections.abc import Sequence

from eventstore.store import Store
from projections.folds.worker import Worker


def living_workers(store: Store | None, active: Sequence[Worker]) -> list[Worker]:
    """Return the workers of `active` that are alive. store: None if there is no queue file.

    The module that examines processes is imported only if there is a worker to examine.
    """
    if not active:
        return []
    from ...worker.liveness import living

    return living(store, active)
