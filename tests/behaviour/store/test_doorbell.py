"""Bells ring after every commit, and bells of ended listeners are removed."""

import os
import select
from collections.abc import Callable
from contextlib import closing

from eventstore.events.job import Enqueued
from eventstore.store import Doorbell, Store
from tests.stores import EVERY_STORE

pytestmark = EVERY_STORE

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)

SOON_S, NEVER_S = 10.0, 0.2


def rings(bell: Doorbell) -> bool:
    """Return whether the bell rings soon; all its rings are discarded."""
    rung = bool(select.select([bell], [], [], SOON_S)[0])
    bell.drain()
    return rung


def is_silent(bell: Doorbell) -> bool:
    return not select.select([bell], [], [], NEVER_S)[0]


def listening(bell: Doorbell, kind: str) -> Doorbell:
    """Return the bell when it has begun to listen: on a server it rings then."""
    assert kind == "sqlite" or rings(bell)
    while not is_silent(bell):
        bell.drain()
    return bell


def append(store: Store, stream: str) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, 0, [JOB])


def test_commit_rings_every_bell(store: Store, opened: Callable[..., Store], kind: str) -> None:
    other = opened()
    with closing(store.doorbell()) as mine, closing(other.guarded_doorbell()) as theirs:
        listening(mine, kind)
        listening(theirs, kind)
        append(store, "1")
        assert rings(mine)
        assert rings(theirs)
        assert is_silent(mine)
        append(other, "2")
        assert rings(mine)


def test_bell_of_a_worker_rings_for_new_jobs(store: Store, kind: str) -> None:
    with closing(store.guarded_doorbell("work")) as bell:
        listening(bell, kind)
        append(store, "1")
        assert rings(bell)


def test_transaction_without_events_rings_no_bell(store: Store, kind: str) -> None:
    with closing(store.doorbell()) as bell:
        listening(bell, kind)
        with store.write("anna@box"):
            pass
        assert is_silent(bell)


def test_store_rings_all_bells(store: Store, kind: str) -> None:
    with closing(store.doorbell()) as mine, closing(store.guarded_doorbell("work")) as workers:
        listening(mine, kind)
        listening(workers, kind)
        store.ring()
        assert rings(mine)
        assert rings(workers)


def test_listener_is_listed_until_its_bell_is_closed(store: Store, kind: str) -> None:
    with closing(store.doorbell()) as bell:
        listening(bell, kind)
        assert store.listeners() == {os.getpid()}
    while store.listeners():  # a server notices it a moment later
        pass
