"""Hints about lines to type next."""

from msgspec.structs import replace

from projections.folds.worker import Worker
from queuectl.text.hints import no_worker
from tests.given import worker_started


def a_worker(*queues: str) -> Worker:
    started = replace(worker_started(), queues=queues)
    return Worker("5f", started, "running", version=1, position=1, started_at_us=0)


def test_queues_that_no_worker_serves_are_named() -> None:
    start = "Start one: queuectl worker start"
    assert no_worker([], ["a"]) == f"No worker is running. {start}"
    assert no_worker([a_worker()], ["a"]) is None
    assert no_worker([a_worker("a")], []) is None
    assert no_worker([a_worker("a"), a_worker("b")], ["b", "a"]) is None
    assert (
        no_worker([a_worker("a")], ["c", "a", "b"])
        == f"No running worker serves queues b, c. {start} --queue b --queue c"
    )


def test_a_hint_does_not_list_hundreds_of_queues() -> None:
    names = [f"q{number:03d}" for number in range(300)]
    assert no_worker([a_worker("a")], names) == (
        "No running worker serves queues q000, q001, q002, q003, q004 and 295 more."
        " Start one for all queues: queuectl worker start"
    )
