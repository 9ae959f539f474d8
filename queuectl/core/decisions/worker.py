"""The rules of a worker."""

from typing import assert_never

from eventstore.events.worker import StopRequested, WorkerEvent, WorkerLost, WorkerStopped
from projections.folds.worker import Worker

from ...errors import NoSuchWorker, Refusal, WorkerEnded
from ..requests import EndWorker, LoseWorker, RequestStop, StartWorker, WorkerRequest

Decision = tuple[WorkerEvent, ...] | Refusal | NoSuchWorker


def decide(worker: Worker | None, request: WorkerRequest) -> Decision:
    """Return the events of a request (none if it is already fulfilled), or a refusal."""
    if isinstance(request, StartWorker):
        return (request.started,) if worker is None else WorkerEnded(worker.id, worker.state)
    if worker is None:
        return NoSuchWorker(request.worker_id)
    if not worker.active:
        return WorkerEnded(worker.id, worker.state)
    match request:
        case RequestStop():
            if worker.stop in (request.how, "now"):
                return ()
            return (StopRequested(how=request.how, reason=request.reason),)
        case EndWorker():
            return (WorkerStopped(reason=request.reason),)
        case LoseWorker():
            return (WorkerLost(found_by=request.found_by, how=request.how),)
        case _:
            assert_never(request)
