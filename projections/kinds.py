"""The table of all kinds of stream: how each names its streams, its fold, and where its state is.

mypy fails here if a kind of `streams.StreamKind`, or an event of `Event`, has no entry.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, assert_never, get_args

import msgspec

from eventstore.events.recorded import Recorded
from eventstore.store import Reader

from .folds import config as config_fold
from .folds import context as context_fold
from .folds import job as job_fold
from .folds import log as log_fold
from .folds import worker as worker_fold
from .read_model import Tables
from .read_models import contexts, jobs, moves, settings, workers
from .streams import CONFIG, CONTEXT, LOG, StreamKind, named


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """The properties that all streams of a kind share."""

    form: str
    """The form of its streams' names, for people. Without `:` it is the name of its only stream."""
    evolve: Callable[[Any, Recorded], Any]
    """The fold: takes the state before and a record, returns the state after."""
    load: Callable[[Reader, str, Tables], Any]
    """Returns the state of a stream from its read model, or from the log if it has none.

    None for a stream without events.
    """


def _kind(kind: StreamKind) -> Kind:
    match kind:
        case "job":
            return Kind(form="ID", evolve=job_fold.evolve, load=jobs.load)
        case "worker":
            form = named("worker", "ID")
            return Kind(form=form, evolve=worker_fold.evolve, load=workers.load)
        case "config":
            return Kind(form=CONFIG, evolve=config_fold.evolve, load=settings.load)
        case "context":
            return Kind(form=CONTEXT, evolve=context_fold.evolve, load=contexts.load)
        case "log":
            return Kind(form=LOG, evolve=log_fold.evolve, load=moves.load)
        case _:
            assert_never(kind)


KINDS: Mapping[StreamKind, Kind] = {kind: _kind(kind) for kind in get_args(StreamKind)}

if TYPE_CHECKING:
    from eventstore.events.config import ConfigEvent
    from eventstore.events.context import ContextEvent
    from eventstore.events.job import JobEvent
    from eventstore.events.log import LogEvent
    from eventstore.events.recorded import Event
    from eventstore.events.worker import WorkerEvent

    def _has_a_kind(event: Event) -> JobEvent | WorkerEvent | ConfigEvent | ContextEvent | LogEvent:
        """mypy fails here if `Event` has events of a kind that this file does not know yet."""
        return event
