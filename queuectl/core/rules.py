"""The function that decides each type of request.

mypy fails here if a kind of stream has no rules, and in `decisions/<kind>.py` if a request has no
rule.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, assert_never, get_args

from eventstore.events.fact import Fact
from projections.streams import StreamKind

from ..errors import QueueError
from .decisions import config, context, job, log, worker
from .requests import AndThen, AnyRequest, Request

Rule = Callable[[Any, Any], tuple[Fact, ...] | AndThen | QueueError]
"""Takes the state of a stream and a request; returns the events of the stream, or a refusal."""


def _rules(kind: StreamKind) -> Rule:
    match kind:
        case "job":
            return job.decide
        case "worker":
            return worker.decide
        case "config":
            return config.decide
        case "context":
            return context.decide
        case "log":
            return log.decide
        case _:
            assert_never(kind)


RULES: Mapping[type[Request], Rule] = {
    request: _rules(request.kind) for request in get_args(AnyRequest)
}


class Part(NamedTuple):
    """The part of a decision about several streams that concerns one stream."""

    request: AnyRequest
    state: Any
    """The state of the stream before the decision."""
    events: tuple[Fact, ...]
    leader: int | None
    """The index of the part that led to this part; None for the first."""


def parts_of(request: AnyRequest, state_of: Callable[[str], Any]) -> list[Part] | QueueError:
    """Decide a request and all requests that follow from it; return the parts in order.

    Return the first refusal instead, if there is one.

    state_of: returns the current state of a stream.
    """
    parts: list[Part] = []
    undecided: list[tuple[AnyRequest, int | None]] = [(request, None)]
    for further, leader in undecided:
        state = state_of(further.stream)
        decision = RULES[type(further)](state, further)
        if isinstance(decision, QueueError):
            return decision
        if isinstance(decision, AndThen):
            undecided += [(led, len(parts)) for led in decision.requests]
            decision = decision.events
        parts.append(Part(further, state, decision, leader))
    streams = [part.request.stream for part in parts]
    assert len(set(streams)) == len(streams), f"{request} leads twice to a stream of {streams}"
    return parts
