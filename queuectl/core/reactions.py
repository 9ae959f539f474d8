"""Reactions: requests that follow from the changes of a transaction, in the same transaction.

A reaction is called after the changes of its kind of stream were written to the read models, so its
queries see them. It yields requests for other streams, each with the position of the event that led
to it. If such a request is refused, the refusal is raised and the transaction writes nothing: a
reaction must yield only requests that its queries have shown to be possible.
See docs/decisions/0015.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventstore.store import Reader
from projections.folds.worker import Worker
from projections.read_model import Change
from projections.read_models import jobs
from projections.streams import StreamKind

from .requests import AnyRequest, Lose

MOST_ROUNDS = 10_000
"""Reactions can lead to more reactions, in rounds.

More rounds than this are a bug in a reaction.
"""


class Led(NamedTuple):
    """A request that an event has led to. cause: the position of that event."""

    request: AnyRequest
    cause: int


Reaction = Callable[[Reader, Sequence[Change[Any]]], Iterator[Led]]
"""Takes a transaction and the changes of one kind of stream; yields requests for other streams."""


def claims_lost(tx: Reader, changes: Sequence[Change[Worker]]) -> Iterator[Led]:
    """Yield the loss of all claims of ended workers. The processes of their jobs have ended."""
    for change in changes:
        worker = change.after
        if not worker.active:
            for job in jobs.of_worker(tx, worker.id):
                lose = Lose(job_id=job.id, attempt=job.attempt, worker=worker.id)
                yield Led(lose, cause=worker.position)


REACTIONS: Mapping[StreamKind, Sequence[Reaction]] = {"worker": (claims_lost,)}
"""By kind of stream: the reactions to changes of these streams."""


def led_by(tx: Reader, changed: Mapping[StreamKind, Sequence[Change[Any]]]) -> list[Led]:
    """Return all requests that these changes, by kind of stream, lead to."""
    return [
        led
        for kind, changes in changed.items()
        for reaction in REACTIONS.get(kind, ())
        for led in reaction(tx, changes)
    ]
