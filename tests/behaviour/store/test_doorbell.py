"""Bells ring after every commit, and bells of ended listeners are removed."""

import select
from collections.abc import Callable
from contextlib import closing

from eventstore.events.job import Enqueued
from eventstore.store import Doorbell, Store

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)


def rung(bell: Doorbell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def append(store: Store, stream: str) -> None:
    with store.write("anna@box") as tx:
        tx.append(stream, 0, [JOB])


def test_commit_rings_every_bell(store: Store, opened: Callable[..., Store]) -> None:
    other = opened()
    with closing(store.doorbell()) as mine, closing(other.doorbell()) as theirs:
        assert not rung(mine)
        append(store, "1")
        assert rung(mine)
        assert rung(theirs)
        mine.drain()
        assert not rung(mine)
        append(other, "2")
        assert rung(mine)


def test_transaction_without_events_rings_no_bell(store: Store) -> None:
    with closing(store.doorbell()) as bell:
        with store.write("anna@box"):
            pass
        assert not rung(bell)
