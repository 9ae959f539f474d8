"""QueueCTL: a background job queue for one machine, event-sourced in one SQLite file.

    from queuectl import Queue

    with Queue("queue.db") as queue:
        job = queue.enqueue("make test", max_retries=2, timeout="5m")
        queue.wait(job.id)

Errors of `Queue` are `QueueError`s: `BadInput` (invalid input), `NotFound`, `Refusal` (not possible
in this state) and `TimedOut`. Problems with the file are `StoreError`s.
"""

TYPE_CHECKING = False  # mypy knows this name; importing `typing` would slow down `--version`

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

_MODULES = {
    "Job": "projections.folds.job",
    "Queue": "queuectl.api",
    "Recorded": "eventstore.events.recorded",
    "StoreError": "eventstore.errors",
}


def __dir__() -> list[str]:
    """Return the API's names and the module's own attributes."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def __getattr__(name: str) -> "Any":
    """Import a name of the API when it is first used: the keeper and `--version` need none."""
    if name not in __all__:
        raise AttributeError(f"module 'queuectl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES.get(name, "queuectl.errors")), name)
