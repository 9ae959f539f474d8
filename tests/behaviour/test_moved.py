"""A queue that has moved to another place can be read, and refuses all writes."""

import pytest

from eventstore.errors import Moved
from projections.rebuild import compare
from queuectl.api import Queue
from queuectl.core.replay import replay
from queuectl.core.requests import MoveLog
from tests.ctl import Ctl

NEW = "postgresql://anna@db.example/jobs"


@pytest.fixture
def moved(ctl: Ctl) -> Ctl:
    """A queue with one job, that has moved to a server."""
    ctl("enqueue", "--", "true")
    with Queue(ctl.place) as queue:
        position, hash_ = queue.store.head()
        queue.send(MoveLog(to=NEW, position=position, hash=hash_))
    return ctl


@pytest.mark.parametrize(
    "words",
    [
        ("enqueue", "--", "true"),
        ("enqueue", "--priority", "3", "--", "true"),
        ("cancel", "1"),
        ("config", "set", "jitter", "0.5"),
        ("wait", "1"),
        ("worker", "start", "--until-empty"),
        ("worker", "start", "--count", "2"),
    ],
)
def test_writes_are_refused_with_the_new_place(moved: Ctl, words: tuple[str, ...]) -> None:
    done = moved(*words, code=6)
    assert done.err.count("has moved to") == 1
    assert f"{moved.db} has moved to {NEW}; nothing can be changed here" in done.err


def test_readers_go_on(moved: Ctl) -> None:
    assert "pending" in moved("list").out
    assert f"Moved: to {NEW}; this queue can only be read\nWorkers: none\n" in moved("status").out
    assert NEW in moved("events").out
    moved("verify")
    moved("replay", "--check")
    assert moved("replay").out == "ok: views rebuilt, 3 events\n"
    assert "log-moved" in moved("events", "--stream", "$log").out


def test_views_of_a_moved_queue_can_be_rebuilt(moved: Ctl) -> None:
    with Queue(moved.db) as queue:
        replay(queue.store)
        assert compare(queue.store) == []
        with pytest.raises(Moved) as refused:
            queue.enqueue("true")
        assert refused.value.to == NEW
