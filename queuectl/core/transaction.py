"""A write transaction of the queue: for each request it reads, decides, appends and folds.

No other code appends events. A decision is a pure function of a state and a request.
"""

import os
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from typing import Any, overload

import msgspec
from msgspec.structs import asdict

from eventstore.events.fact import Fact
from eventstore.store import Query, Writer
from projections import streams
from projections.folds.config import Config
from projections.folds.context import Context
from projections.folds.job import Job
from projections.folds.log import LogMove
from projections.folds.worker import Worker
from projections.read_models import contexts, sequence, settings
from projections.registry import ADVANCE, Projector

from ..errors import BadInput, NoSuchJob, QueueError
from .reactions import MOST_ROUNDS, led_by
from .requests import (
    AndThen,
    AnyRequest,
    Enqueue,
    JobRequest,
    MoveLog,
    NewJob,
    Policy,
    RecordContext,
    Request,
    SetConfig,
    WorkerRequest,
)
from .rules import RULES, Part, parts_of
from .settings import policy

CONTEXTS_AT_MOST = 1_000
"""Drop the cached contexts if there are more than this many."""
STREAMS_PER_FLUSH = 1_000
"""Read models are written once this many streams have changed, to limit the use of memory."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_DEFAULTS = asdict(NewJob())


class TransactionCache:
    """Data carried from one write transaction to the next.

    It is valid only if no other writer has committed in between.
    """

    def __init__(self) -> None:
        self._last: tuple[int, bytes] | None = None
        self.contexts: dict[tuple[str, str], int] = {}
        """For each directory and PATH: position of the event that recorded them."""
        self.policy: Policy | None = None
        self.last_number: int | None = None

    def begin(self, last: tuple[int, bytes]) -> None:
        """Begin a transaction. Drop the cache if another writer has committed since the last `end`.

        last: position and hash of the log's last record. If the transaction fails before `end`, its
        data must not be used: the next `begin` drops the cache.
        """
        if self._last != last or len(self.contexts) > CONTEXTS_AT_MOST:
            self.contexts, self.policy, self.last_number = {}, None, None
        self._last = None

    def end(self, last: tuple[int, bytes]) -> None:
        """Keep the cache for the next transaction, if the log then still ends at this record.

        If the commit fails, the log will have another last record, and `begin` drops the cache.
        """
        self._last = last


class Session:
    """A write transaction: the events of all its requests are recorded, or none of them."""

    def __init__(self, tx: Writer, cache: TransactionCache) -> None:
        self._tx = tx
        self._cache = cache
        cache.begin(tx.last)
        self._projector = Projector(tx)

    @property
    def at_us(self) -> int:
        """The time of this transaction: UTC, microseconds since 1970."""
        return self._tx.now_us

    @property
    def tx(self) -> Writer:
        """The store's transaction, for queries: they see the results of all requests so far."""
        self._flush()
        return self._tx

    @overload
    def send(self, request: JobRequest) -> Job | QueueError: ...
    @overload
    def send(self, request: WorkerRequest) -> Worker | QueueError: ...
    @overload
    def send(self, request: SetConfig) -> Config | QueueError: ...
    @overload
    def send(self, request: RecordContext) -> Context: ...
    @overload
    def send(self, request: MoveLog) -> LogMove: ...
    def send(self, request: AnyRequest) -> Any:
        """Decide the request, append its events and return the new state of the stream.

        A refusal is returned, not raised; it writes nothing.
        """
        answer = self._carry_out(request)
        if self._projector.pending_streams >= STREAMS_PER_FLUSH:
            self._flush()
            self._projector.forget()
        return answer

    def enqueue(self, new: NewJob) -> Job | QueueError:
        """Accept a job. Its id is the one in `new`, or the next number.

        Return the job, or the refusal. If the same request was accepted before, return that job.
        """
        return self.send(self.enqueue_request(new))

    def enqueue_request(self, new: NewJob) -> Enqueue:
        """Return the request to accept a job; a decision about another stream may contain it."""
        return Enqueue(
            job_id=new.id or self._next_id(),
            new=new,
            policy=self._policy_in_force(),
            context=self._context(new.cwd),
            digest=_digest(new) if new.id else None,
            at_us=self.at_us,
        )

    def preload(self, job_ids: Iterable[str]) -> None:
        """Read the jobs of the following requests with one query."""
        self._projector.preload(job_ids)

    def assume(self, jobs: Iterable[Job]) -> None:
        """Use these job states without reading them.

        If one is out of date, the append raises StreamConflict.
        """
        self._projector.assume(jobs)

    def keep_output(self, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
        """Store the output of an attempt. kept: None if it is stored in files."""
        self._tx.keep_output(job_id, attempt, total_bytes, kept)

    def commit(self) -> None:
        """Commit the transaction, once, after its block has ended. May run in another thread."""
        self._tx.commit()

    def finish(self) -> None:
        """Write the read models. Call it once, before the commit."""
        self._flush()
        if self._tx.appended:
            self._tx.execute(ADVANCE, {"position": self._tx.last[0]})
        self._cache.end(self._tx.last)

    def _flush(self) -> None:
        """Write all changes to the read models, and carry out the requests of reactions to them."""
        for _ in range(MOST_ROUNDS):
            requests = led_by(self._tx, self._projector.flush())
            if not requests:
                return
            for request, cause in requests:
                answer = self._carry_out(request, cause)
                if isinstance(answer, QueueError):
                    raise answer
        raise AssertionError("reactions lead to reactions without an end")

    def _carry_out(self, request: AnyRequest, cause: int | None = None) -> Any:
        """Decide a request and append its events; return the state of the stream, or a refusal.

        cause: position of the event in another stream that led to the request, if there is one.
        """
        stream = request.stream
        if request.kind == "job" and not streams.is_job(stream):
            return NoSuchJob(stream)
        state = self._projector.state(stream)
        decision = RULES[type(request)](state, request)
        if isinstance(decision, QueueError):
            return decision
        if isinstance(decision, AndThen):
            parts = parts_of(request, self._projector.state)
            if isinstance(parts, QueueError):
                return parts
            self._append_all(parts, cause)
        elif decision:
            self._append(request, state, decision, cause)
        return self._projector.state(stream)

    def _append_all(self, parts: list[Part], cause: int | None) -> None:
        """Append the events of all parts. The cause of a part is the last event of its leader."""
        last_positions: list[int | None] = []
        for request, state, events, leader in parts:
            part_cause = cause if leader is None else last_positions[leader]
            last_positions.append(
                self._append(request, state, events, part_cause) if events else None
            )

    def _append(
        self, request: Request, state: Any, events: tuple[Fact, ...], cause: int | None
    ) -> int:
        """Append these events, at least one; return the position of the last one."""
        if cause is None and state is not None and request.cause == "last event":
            cause = state.position
        version = state.version if state is not None else 0
        recorded = self._tx.append(
            request.stream, version, events, cause=cause, actor=request.actor
        )
        self._projector.fold(recorded)
        if request.kind == "config":
            self._cache.policy = None
        return recorded[-1].position

    def _next_id(self) -> str:
        """Return the next number, which no job has as its id."""
        if self._cache.last_number is None:
            self._cache.last_number = sequence.last_number(self.tx)
        self._cache.last_number += 1
        job_id = str(self._cache.last_number)
        self._projector.mark_new(job_id)
        return job_id

    def _policy_in_force(self) -> Policy:
        if self._cache.policy is None:
            self._cache.policy = policy(settings.in_force(self.tx))
        return self._cache.policy

    def _context(self, cwd: str | None) -> int:
        """Return the position of the event that recorded this directory and this process's PATH."""
        directory, path = cwd or self._cwd, self._path
        known = self._cache.contexts
        if (directory, path) not in known:
            position = contexts.find(self.tx, _recordable("directory", directory), path)
            if position is None:
                position = self.send(RecordContext(cwd=directory, path=path)).position
            known[directory, path] = position
        return known[directory, path]

    @cached_property
    def _cwd(self) -> str:
        """The working directory. It is cached: getcwd() takes as long as folding a job."""
        return _working_directory()

    @cached_property
    def _path(self) -> str:
        """The value of PATH. It is cached like the directory."""
        return _recordable("PATH", os.environ.get("PATH", os.defpath))


def queries_of_enqueue() -> list[Query]:
    """Return the queries of a transaction that enqueues a job from this directory."""
    queries = [sequence.LAST, settings.IN_FORCE]
    try:
        queries.append(contexts.find_query(os.getcwd(), os.environ.get("PATH", os.defpath)))
    except FileNotFoundError:
        pass  # the job may name another directory
    return queries


def _digest(new: NewJob) -> str:
    """Return the SHA-256 of a request, in hexadecimal.

    Requests that differ only in notation have the same digest. Values that equal their default are
    left out, so that the digest does not change when a later version adds a field.
    """
    fields = {name: value for name, value in asdict(new).items() if value != _DEFAULTS[name]}
    if new.run_at is not None:
        del fields["run_at_us"]
    return sha256(_encode(fields)).hexdigest()


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadInput("the working directory is gone; name another with --cwd") from None


def _recordable(what: str, text: str) -> str:
    """Return the text. Raises BadInput if it is not UTF-8, which the log cannot store.

    what: the name of the text in the error.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"the {what} {text!r} is not UTF-8; use another") from None
    return text
