"""QueueCTL: a background job queue for one machine, event-sourced in one SQLite file.

    from queuectl import Queue

    with Queue("queue.db") as queue:
        job = queue.enqueue("make test", max_retries=2, timeout="5m")
        queue.wait(job.id)

Everything `Queue` refuses it raises as a `QueueError`: `BadInput` (it makes no sense), `NotFound`,
`Refusal` (not in this state), `TimedOut`. What is wrong with the file is a `StoreError`.
"""

TYPE_CHECKING = False  # as mypy knows it: typing takes a third of the time that `--version` has

__version__ = "0.1.0"

__all__ = [
    "BadInput",
    "Job",
    "NotFound",
    "Queue",
    "QueueError",
    "Recorded",
    "Refusal",
    "StoreError",
    "TimedOut",
]

if TYPE_CHECKING:
    from typing import Any

    from eventstore.errors import StoreError
    from eventstore.events.recorded import Recorded
    from projections.folds.job import Job

    from .api import Queue
    from .errors import BadInput, NotFound, QueueError, Refusal, TimedOut

_HOMES = {
    "Job": "projections.folds.job",
    "Queue": "queuectl.api",
    "Recorded": "eventstore.events.recorded",
    "StoreError": "eventstore.errors",
}


def __dir__() -> list[str]:
    """The API's names and the module's own attributes."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def __getattr__(name: str) -> "Any":
    """The API's names, imported when first used: the keeper and `--version` need none of them."""
    if name not in __all__:
        raise AttributeError(f"module 'queuectl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "queuectl.errors")), name)
