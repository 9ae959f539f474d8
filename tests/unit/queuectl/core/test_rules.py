"""The table of all requests, and what the types of requests declare."""

from collections.abc import Iterator

from projections.kinds import KINDS
from queuectl.core.requests import (
    Claim,
    ComeDue,
    Finish,
    Lose,
    LoseWorker,
    MoveLog,
    OfJob,
    Rearm,
    RecordContext,
    Release,
    Request,
    SetConfig,
)
from queuectl.core.rules import RULES


def types(base: type[Request]) -> Iterator[type[Request]]:
    """Yield the types of requests below a class: classes without subclasses."""
    for request in base.__subclasses__():
        yield from types(request) if request.__subclasses__() else (request,)


def test_every_request_has_a_rule() -> None:
    assert set(types(Request)) == set(RULES)


def test_every_kind_of_stream_has_rules() -> None:
    assert {request.kind for request in RULES} == set(KINDS)


def test_requests_of_workers_and_timers_continue_the_stream_of_their_job() -> None:
    continuing = {request for request in RULES if request.cause == "last event"}
    assert continuing == {Claim, ComeDue, Finish, Lose, Rearm, Release}
    assert {request for request in RULES if request.actor == "timer"} == {ComeDue, Rearm}


def test_request_names_its_stream() -> None:
    assert not {request for request in RULES if request.stream is Request.stream}
    assert all(request.kind == "job" for request in types(OfJob))
    assert Lose(job_id="7", attempt=1).stream == "7"
    assert LoseWorker(worker_id="3f", found_by="5b").stream == "$worker:3f"
    assert SetConfig(key="grace", value=None).stream == "$config"
    assert RecordContext(cwd="/", path="/bin").stream == "$context"
    assert MoveLog(to="/b.db", position=0, hash="").stream == "$log"
