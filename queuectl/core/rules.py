"""The table of all requests, with the function that decides each.

mypy fails here if a kind of stream has no rules, and in `decisions/<kind>.py` if a request has no
rule.
"""

from collections.abc import Callable, Mapping
from typing import Any, assert_never, get_args

from eventstore.events.fact import Fact
from projections.streams import StreamKind

from ..errors import QueueError
from .decisions import config, context, job, worker
from .requests import AnyRequest, Request

Rule = Callable[[Any, Any], tuple[Fact, ...] | QueueError]
"""From the state of a stream and a request to the events of the stream, or a refusal."""


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
        case _:
            assert_never(kind)


RULES: Mapping[type[Request], Rule] = {
    request: _rules(request.kind) for request in get_args(AnyRequest)
}
