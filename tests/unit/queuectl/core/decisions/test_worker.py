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
    for one in recorded((STARTED, *events), stream="$worker:3f"):  # type: ignore[arg-type]
        state = evolve(state, one)
    assert state is not None
    return state


def test_worker_starts_once() -> None:
    asked = StartWorker(worker_id="3f", started=STARTED)
    assert decide(None, asked) == (STARTED,)
    assert isinstance(decide(worker(), asked), WorkerEnded)


def test_stop_is_asked_for_once_and_may_be_made_stronger() -> None:
    drain, now = (RequestStop(worker_id="3f", how=how) for how in ("drain", "now"))
    assert decide(worker(), drain) == (StopRequested(how="drain"),)
    draining = worker(StopRequested(how="drain"))
    assert decide(draining, drain) == ()
    assert decide(draining, now) == (StopRequested(how="now"),)
    assert decide(worker(StopRequested(how="now")), drain) == ()


def test_worker_that_stopped_or_was_lost_does_nothing_more() -> None:
    for ended in (WorkerStopped(reason="drained"), WorkerLost(found_by="4a")):
        for asked in (
            RequestStop(worker_id="3f", how="now"),
            EndWorker(worker_id="3f", reason="drained"),
            LoseWorker(worker_id="3f", found_by="5b"),
        ):
            assert isinstance(decide(worker(ended), asked), WorkerEnded)


def test_unknown_worker_is_not_found() -> None:
    assert isinstance(decide(None, LoseWorker(worker_id="3f", found_by="5b")), NoSuchWorker)


def test_end_of_a_worker_is_recorded_with_its_reason() -> None:
    stop = RequestStop(worker_id="3f", how="drain", reason="an update")
    assert decide(worker(), stop) == (StopRequested(how="drain", reason="an update"),)
    end = EndWorker(worker_id="3f", reason="until-empty")
    assert decide(worker(), end) == (WorkerStopped(reason="until-empty"),)
    lose = LoseWorker(worker_id="3f", found_by="5b")
    assert decide(worker(), lose) == (WorkerLost(found_by="5b"),)
