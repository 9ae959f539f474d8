"""The rules of a worker."""

from eventstore.events.worker import StopRequested, WorkerLost, WorkerStopped
from projections.folds.worker import Worker, evolve
from queuectl.core.decisions.worker import decide
from queuectl.core.requests import EndWorker, LoseWorker, RequestStop, StartWorker
from queuectl.errors import NoSuchWorker, WorkerEnded
from tests.given import recorded, worker_started

STARTED = worker_started()


def worker(*events: object) -> Worker:
    state = None
    for record in recorded((STARTED, *events), stream="$worker:3f"):  # type: ignore[arg-type]
        state = evolve(state, record)
    assert state is not None
    return state


def test_worker_starts_once() -> None:
    request = StartWorker(worker_id="3f", started=STARTED)
    assert decide(None, request) == (STARTED,)
    assert isinstance(decide(worker(), request), WorkerEnded)


def test_stop_is_recorded_once_and_can_be_made_stronger() -> None:
    drain, now = (RequestStop(worker_id="3f", how=how) for how in ("drain", "now"))
    assert decide(worker(), drain) == (StopRequested(how="drain"),)
    draining = worker(StopRequested(how="drain"))
    assert decide(draining, drain) == ()
    assert decide(draining, now) == (StopRequested(how="now"),)
    assert decide(worker(StopRequested(how="now")), drain) == ()


def test_requests_to_an_ended_worker_are_refused() -> None:
    for ended in (WorkerStopped(reason="drained"), WorkerLost(found_by="4a")):
        for request in (
            RequestStop(worker_id="3f", how="now"),
            EndWorker(worker_id="3f", reason="drained"),
            LoseWorker(worker_id="3f", found_by="5b"),
        ):
            assert isinstance(decide(worker(ended), request), WorkerEnded)


def test_unknown_worker_is_not_found() -> None:
    assert isinstance(decide(None, LoseWorker(worker_id="3f", found_by="5b")), NoSuchWorker)


def test_end_of_a_worker_is_recorded_with_its_reason() -> None:
    stop = RequestStop(worker_id="3f", how="drain", reason="an update")
    assert decide(worker(), stop) == (StopRequested(how="drain", reason="an update"),)
    end = EndWorker(worker_id="3f", reason="until-empty")
    assert decide(worker(), end) == (WorkerStopped(reason="until-empty"),)
    lose = LoseWorker(worker_id="3f", found_by="5b")
    assert decide(worker(), lose) == (WorkerLost(found_by="5b"),)
