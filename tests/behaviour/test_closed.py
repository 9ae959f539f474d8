"""A Queue object after it was closed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import queuectl
from queuectl import Queue, Refusal

USES: dict[str, Callable[[Queue], Any]] = {
    "enqueue": lambda queue: queue.enqueue("true"),
    "enqueue_many": lambda queue: queue.enqueue_many([{"command": "true"}]),
    "get": lambda queue: queue.get("1"),
    "cancel": lambda queue: queue.cancel("1"),
    "retry": lambda queue: queue.retry("1"),
    "wait": lambda queue: queue.wait("1"),
    "wait for nothing": lambda queue: queue.wait(),
    "events": lambda queue: queue.events(),
    "enter": lambda queue: queue.__enter__(),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_a_closed_queue_refuses_every_use(tmp_path: Path, use: Callable[[Queue], Any]) -> None:
    path = tmp_path / "queue.db"
    with Queue(path) as queue:
        queue.enqueue("true")
    with pytest.raises(Refusal, match="was closed; open it again with Queue"):
        use(queue)
    queue.close()
    with Queue(path) as again:
        assert [recorded.type for recorded in again.events()].count("enqueued") == 1


def test_reading_events_is_refused_after_the_queue_is_closed(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.db")
    queue.enqueue_many([{"command": "true"}] * 2)
    events = queue.events()
    next(events)
    queue.close()
    with pytest.raises(Refusal, match="was closed"):
        next(events)


def test_dir_lists_the_names_of_the_api() -> None:
    assert {"__version__", *queuectl.__all__} <= set(dir(queuectl))
    assert "TYPE_CHECKING" not in dir(queuectl)
