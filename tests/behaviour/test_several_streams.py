"""Events of several streams in one transaction: all or nothing, each with its cause."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from eventstore.events.config import ConfigChanged
from eventstore.events.recorded import Recorded
from queuectl import Queue
from queuectl.core import reactions, rules
from queuectl.core.reactions import Led
from queuectl.core.requests import (
    AndThen,
    Cancel,
    Claim,
    EndWorker,
    LoseWorker,
    NewJob,
    RetryDead,
    SetConfig,
    StartWorker,
)
from queuectl.errors import NoSuchJob, NotDead
from tests.given import worker_started


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "queue.db") as opened:
        yield opened


def claim(queue: Queue, *job_ids: str) -> None:
    requests = [Claim(job_id=job_id, worker="3f", slot=1, at_us=0) for job_id in job_ids]
    queue.send(StartWorker(worker_id="3f", started=worker_started()), *requests)


def newest(queue: Queue, number: int) -> list[Recorded]:
    return list(queue.events())[-number:]


def types(events: list[Recorded]) -> list[tuple[str, str]]:
    return [(record.stream, record.type) for record in events]


def test_worker_that_was_lost_loses_its_claims(queue: Queue) -> None:
    jobs = queue.enqueue_many([{"command": "true"}] * 3)
    claim(queue, *jobs[:2])
    queue.send(LoseWorker(worker_id="3f", found_by="5b"))
    events = newest(queue, 5)
    assert types(events) == [
        ("$worker:3f", "worker-lost"),
        *[("1", "failed"), ("1", "requeued")],
        *[("2", "failed"), ("2", "requeued")],
    ]
    lost = events[0].position
    assert {record.batch for record in events} == {lost}
    assert [record.cause for record in events] == [None, lost, lost + 1, lost, lost + 3]
    assert [queue.get(job).state for job in jobs] == ["pending"] * 3


def test_worker_that_leaves_without_its_keeper_loses_its_claims(queue: Queue) -> None:
    claim(queue, queue.enqueue("true").id)
    queue.send(EndWorker(worker_id="3f", reason="keeper-lost"))
    assert types(newest(queue, 3)) == [
        ("$worker:3f", "worker-stopped"),
        *[("1", "failed"), ("1", "requeued")],
    ]


def test_worker_without_claims_loses_nothing(queue: Queue) -> None:
    queue.enqueue("true")
    claim(queue)
    queue.send(LoseWorker(worker_id="3f", found_by="5b"))
    assert types(newest(queue, 1)) == [("$worker:3f", "worker-lost")]


def replace_rule(monkeypatch: pytest.MonkeyPatch, request: type, rule: Any) -> None:
    replaced: dict[Any, Any] = {**rules.RULES, request: rule}
    monkeypatch.setattr(rules, "RULES", replaced)
    monkeypatch.setattr("queuectl.core.transaction.RULES", replaced)


def and_then(monkeypatch: pytest.MonkeyPatch, *requests: object) -> None:
    """Let each change of a setting lead to these requests."""

    def decide(_: object, request: SetConfig) -> AndThen:
        changed = ConfigChanged(key=request.key, value=request.value)
        return AndThen((changed,), requests)  # type: ignore[arg-type]

    replace_rule(monkeypatch, SetConfig, decide)


CHANGE = SetConfig(key="max-retries", value=1)


def test_decision_may_enqueue_a_job(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    with queue.write() as session:
        and_then(monkeypatch, session.enqueue_request(NewJob(command="echo fired")))
        session.send(CHANGE)
    context, fired, enqueued = newest(queue, 3)
    assert types([context, fired, enqueued]) == [
        ("$context", "context-recorded"),
        ("$config", "config-changed"),
        ("1", "enqueued"),
    ]
    assert (fired.cause, enqueued.cause) == (None, fired.position)
    assert queue.get("1").spec.command == "echo fired"


def test_refusal_of_one_request_refuses_the_whole(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queue.enqueue("true").id, queue.enqueue("true").id
    and_then(monkeypatch, Cancel(job_id=first), RetryDead(job_id=second))
    before = queue.store.head()
    with queue.write() as session:
        assert isinstance(session.send(CHANGE), NotDead)
    assert queue.store.head() == before
    assert queue.get(first).state == "pending"


def test_requests_of_a_decision_may_lead_to_others(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (queue.enqueue("true").id for _ in range(3))
    and_then(monkeypatch, Cancel(job_id=first), Cancel(job_id=second))

    def cancel(job: object, request: Cancel) -> object:
        decision = decide(job, request)
        if request.job_id == second:
            return AndThen(decision, (Cancel(job_id=third),))  # type: ignore[arg-type]
        return decision

    decide = rules.RULES[Cancel]
    replace_rule(monkeypatch, Cancel, cancel)
    queue.send(CHANGE)
    changed, *cancelled = newest(queue, 4)
    assert [record.stream for record in cancelled] == [first, second, third]
    leaders = [changed.position, changed.position, cancelled[1].position]
    assert [record.cause for record in cancelled] == leaders


def test_decision_that_leads_twice_to_a_stream_is_an_error(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue("true").id
    and_then(monkeypatch, Cancel(job_id=job), Cancel(job_id=job))
    with pytest.raises(AssertionError, match="twice"):
        queue.send(CHANGE)


def react(monkeypatch: pytest.MonkeyPatch, kind: str, lead: object) -> None:
    """Let each change of a stream of this kind lead to the request that `lead` returns, if any."""

    def reaction(_: object, changes: object) -> Iterator[Led]:
        for change in changes:  # type: ignore[attr-defined]
            if (request := lead(change.after)) is not None:  # type: ignore[operator]
                yield Led(request, cause=change.after.position)

    monkeypatch.setattr(reactions, "REACTIONS", {kind: (reaction,)})


def test_refusal_of_a_reaction_is_raised_and_nothing_is_written(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue("true").id
    before = queue.store.head()
    react(monkeypatch, "job", lambda _: Cancel(job_id="nobody"))
    with pytest.raises(NoSuchJob):
        queue.cancel(job)
    assert queue.store.head() == before
    assert queue.get(job).state == "pending"


def test_reactions_lead_to_reactions_until_nothing_changes(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = queue.enqueue_many([{"command": "true"}] * 5)
    following = dict(pairwise(jobs))

    def cancel_the_next(job: object) -> Cancel | None:
        following_id = following.get(job.id)  # type: ignore[attr-defined]
        return Cancel(job_id=following_id) if following_id else None

    react(monkeypatch, "job", cancel_the_next)
    queue.cancel(jobs[0])
    assert [queue.get(job).state for job in jobs] == ["cancelled"] * 5
    causes = [record.cause for record in newest(queue, 5)]
    assert causes == [None, *(record.position for record in newest(queue, 5)[:-1])]


def test_reactions_without_an_end_are_an_error(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuectl.core.transaction.MOST_ROUNDS", 3)
    jobs = queue.enqueue_many([{"command": "true"}] * 5)

    def cancel_the_next(job: object) -> Cancel:
        return Cancel(job_id=jobs[jobs.index(job.id) + 1])  # type: ignore[attr-defined]

    react(monkeypatch, "job", cancel_the_next)
    with pytest.raises(AssertionError, match="without an end"):
        queue.cancel(jobs[0])
    assert queue.get(jobs[0]).state == "pending"
