"""The states of a worker and its transitions."""

import pytest

from eventstore.events.worker import StopRequested, WorkerEvent, WorkerLost, WorkerStopped
from projections.folds.worker import Worker, evolve
from projections.streams import named
from tests.given import BEGAN_US, SECOND_US, recorded, worker_started


def worker(*events: WorkerEvent) -> Worker:
    """Return the worker 3f after its start and these events."""
    state = None
    for record in recorded((worker_started(), *events), stream=named("worker", "3f"), first=5):
        state = evolve(state, record)
    assert state is not None
    return state


def test_started_worker_is_running() -> None:
    assert worker() == Worker(
        id="3f",
        started=worker_started(),
        state="running",
        version=1,
        position=5,
        started_at_us=BEGAN_US,
    )


def test_stopping_worker_may_still_hold_claims() -> None:
    stopping = worker(StopRequested(how="drain"))
    assert (stopping.state, stopping.stop, stopping.active) == ("stopping", "drain", True)
    assert (stopping.version, stopping.position, stopping.ended_at_us) == (2, 6, None)


@pytest.mark.parametrize("order", [("drain", "now"), ("now", "drain")])
def test_stronger_stop_wins(order: tuple[str, str]) -> None:
    assert worker(*(StopRequested(how=how) for how in order)).stop == "now"  # type: ignore[arg-type]


def test_stopped_or_lost_worker_is_not_active() -> None:
    stopped, lost = worker(WorkerStopped(reason="drained")), worker(WorkerLost(found_by="4a"))
    assert (stopped.state, stopped.ended, stopped.active) == ("stopped", "drained", False)
    assert (lost.state, lost.ended, lost.active) == ("lost", "lost", False)
    assert stopped.ended_at_us == lost.ended_at_us == BEGAN_US + SECOND_US


def test_worker_starts_once() -> None:
    with pytest.raises(AssertionError, match="worker 3f is started twice, at 6"):
        worker(worker_started())


def test_worker_id_may_contain_a_colon() -> None:
    (record,) = recorded((worker_started(),), stream=named("worker", "a:b"))
    assert evolve(None, record).id == "a:b"
