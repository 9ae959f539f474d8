"""A worker's states and the way between them."""

import pytest

from eventstore.events.worker import StopRequested, WorkerEvent, WorkerLost, WorkerStopped
from projections.folds.worker import Worker, evolve, stream_of
from projections.registry import kind_of
from tests.given import BEGAN_US, SECOND_US, recorded, worker_started


def worker(*events: WorkerEvent) -> Worker:
    """The worker 3f after it started, and these events."""
    state = None
    for one in recorded((worker_started(), *events), stream=stream_of("3f"), first=5):
        state = evolve(state, one)
    assert state is not None
    return state


def test_worker_that_started_runs() -> None:
    assert worker() == Worker(
        id="3f",
        started=worker_started(),
        state="running",
        version=1,
        position=5,
        started_at_us=BEGAN_US,
    )


def test_worker_that_was_asked_to_stop_may_still_hold_claims() -> None:
    asked = worker(StopRequested(how="drain"))
    assert (asked.state, asked.stop, asked.active) == ("stopping", "drain", True)
    assert (asked.version, asked.position, asked.ended_at_us) == (2, 6, None)


@pytest.mark.parametrize("order", [("drain", "now"), ("now", "drain")])
def test_stronger_stop_stands(order: tuple[str, str]) -> None:
    assert worker(*(StopRequested(how=how) for how in order)).stop == "now"  # type: ignore[arg-type]


def test_worker_that_stopped_or_was_lost_holds_nothing() -> None:
    stopped, lost = worker(WorkerStopped(reason="drained")), worker(WorkerLost(found_by="4a"))
    assert (stopped.state, stopped.ended, stopped.active) == ("stopped", "drained", False)
    assert (lost.state, lost.ended, lost.active) == ("lost", "lost", False)
    assert stopped.ended_at_us == lost.ended_at_us == BEGAN_US + SECOND_US


def test_worker_starts_once() -> None:
    with pytest.raises(AssertionError, match="worker 3f is started twice, at 6"):
        worker(worker_started())


def test_id_of_a_worker_is_all_that_follows_its_kind() -> None:
    (one,) = recorded((worker_started(),), stream=stream_of("a:b"))
    assert evolve(None, one).id == "a:b"


def test_every_stream_has_a_kind_by_its_name() -> None:
    named = ("7", "nightly", "$worker:3f", "$config", "$context")
    assert [kind_of(name) for name in named] == ["job", "job", "worker", "config", "context"]
    with pytest.raises(AssertionError, match=r"no kind of stream is named \$schedule"):
        kind_of("$schedule")
