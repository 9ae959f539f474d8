"""The rules of a worker."""

from typing import assert_never

from eventstore.events.worker import StopRequested, WorkerEvent, WorkerLost, WorkerStopped
from projections.folds.worker import Worker

from ...errors import NoSuchWorker, Refusal, WorkerEnded
from ..requests import EndWorker, LoseWorker, RequestStop, StartWorker, WorkerRequest

Decision = tuple[WorkerEvent, ...] | Refusal | NoSuchWorker


def decide(worker: Worker | None, asked: WorkerRequest) -> Decision:
    """What happens to `worker` when `asked`: events, none where it is so already, or a no."""
    if isinstance(asked, StartWorker):
        return (asked.started,) if worker is None else WorkerEnded(worker.id, worker.state)
    if worker is None:
        return NoSuchWorker(asked.worker_id)
    if not worker.active:
        return WorkerEnded(worker.id, worker.state)
    match asked:
        case RequestStop():
            if worker.stop in (asked.how, "now"):
                return ()
            return (StopRequested(how=asked.how, reason=asked.reason),)
        case EndWorker():
            return (WorkerStopped(reason=asked.reason),)
        case LoseWorker():
            return (WorkerLost(found_by=asked.found_by),)
        case _:
            assert_never(asked)
