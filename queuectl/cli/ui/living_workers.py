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


def workers_elsewhere(store: Store | None, active: Sequence[Worker]) -> set[str]:
    """Return the ids of those of `active` that are, or may be, on another machine.

    Of these, only their beats are known; see `queuectl.worker.liveness`.
    """
    if store is None or not store.distant or not active:
        return set()
    from ...worker.liveness import is_elsewhere

    return {worker.id for worker in active if is_elsewhere(store, worker)}
