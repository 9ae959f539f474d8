"""What the changes of a transaction lead to: further requests, carried out in the same transaction.

A reaction is called when the changes of streams of its kind have been written to the read models,
so its queries see them. It yields requests, each with the position of the event that led to it. Its
requests must not be refused in the state that its queries have shown: a refusal is raised, and then
the transaction writes nothing. See docs/decisions/0015.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventstore.store import Reader
from projections.folds.worker import Worker
from projections.read_model import Change
from projections.read_models import jobs
from projections.streams import StreamKind

from .requests import AnyRequest, Lose

ROUNDS_AT_MOST = 10_000
"""Reactions to reactions are carried out in rounds; more of them is an error in a reaction."""


class Led(NamedTuple):
    """A request that an event has led to. cause: the position of the event."""

    request: AnyRequest
    cause: int


Reaction = Callable[[Reader, Sequence[Change[Any]]], Iterator[Led]]


def claims_lost(tx: Reader, changes: Sequence[Change[Worker]]) -> Iterator[Led]:
    """Lose the claims of ended workers; the processes of their jobs have ended already."""
    for change in changes:
        worker = change.after
        if not worker.active:
            for job in jobs.of_worker(tx, worker.id):
                lose = Lose(job_id=job.id, attempt=job.attempt, worker=worker.id)
                yield Led(lose, cause=worker.position)


REACTIONS: Mapping[StreamKind, Sequence[Reaction]] = {"worker": (claims_lost,)}
"""By the kind of the streams whose changes they read."""


def led_by(tx: Reader, changed: Mapping[StreamKind, Sequence[Change[Any]]]) -> list[Led]:
    """Return all requests that these changes, by kind of stream, lead to."""
    return [
        led
        for kind, changes in changed.items()
        for reaction in REACTIONS.get(kind, ())
        for led in reaction(tx, changes)
    ]
