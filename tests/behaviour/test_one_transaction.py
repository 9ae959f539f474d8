"""A Queue object has one transaction at a time; a second one is refused, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from eventstore.errors import TransactionOpen
from eventstore.events.job import Enqueued
from queuectl import Queue
from queuectl.input.job_spec import new_job
from tests.ctl import Ctl


@pytest.fixture
def queue(ctl: Ctl) -> Queue:
    return Queue(ctl.place)


def test_write_inside_a_write_is_refused_and_the_outer_one_goes_on(queue: Queue) -> None:
    with queue.write() as session:
        with pytest.raises(TransactionOpen, match="already open, in an enclosing block"):
            queue.enqueue("false")
        with pytest.raises(TransactionOpen), queue.write():
            pass
        assert queue.read()  # reading has a connection of its own
        session.enqueue(new_job({"command": "true"}, 0))
    queue.enqueue("echo after")
    with queue.read() as tx:
        events = [recorded.event for recorded in tx.events()]
    commands = [event.command for event in events if isinstance(event, Enqueued)]
    assert commands == ["true", "echo after"]


def test_write_that_fails_lets_the_next_one_begin(queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), queue.write():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), queue.read():
        raise ZeroDivisionError
    assert queue.get(queue.enqueue("true").id).state == "pending"


def test_threads_that_share_a_queue_are_refused_and_lose_nothing(queue: Queue) -> None:
    def enqueue(number: int) -> str | None:
        try:
            queue.enqueue("true", id=f"job-{number}")
            queue.get(f"job-{number}")
        except TransactionOpen:
            return None
        return f"job-{number}"

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(enqueue, range(200)))
    acknowledged = {answer for answer in answers if answer}
    assert acknowledged <= {event.stream for event in queue.events()}
    assert queue.enqueue("true").state == "pending"
