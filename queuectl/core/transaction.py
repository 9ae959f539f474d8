"""Read, decide, append, fold: what happens inside one write transaction of the queue."""

import os
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from typing import Any, overload

import msgspec
from msgspec.structs import asdict

from eventstore.events.context import ContextRecorded
from eventstore.events.fact import Fact
from eventstore.sqlite import outputs
from eventstore.sqlite.transaction import SqliteTransaction
from projections.folds import config as config_fold
from projections.folds import context as context_fold
from projections.folds.config import Config
from projections.folds.job import Job
from projections.folds.worker import Worker, stream_of
from projections.read_models import contexts, sequence, settings
from projections.registry import ADVANCE, Projector

from ..errors import BadInput, NoSuchJob, QueueError
from .decisions import config as config_rules
from .decisions import job as job_rules
from .decisions import worker as worker_rules
from .requests import (
    AnyRequest,
    Claim,
    ComeDue,
    Enqueue,
    Finish,
    JobRequest,
    Lose,
    NewJob,
    OfJob,
    Policy,
    Rearm,
    Release,
    SetConfig,
    WorkerRequest,
)
from .settings import policy

CONTEXTS_AT_MOST = 1_000
STREAMS_PER_FLUSH = 1_000
"""Streams whose events wait in memory for the tables: a million enqueued jobs stay flat."""

_MACHINE_MADE = (Claim, ComeDue, Finish, Rearm, Release, Lose)
"""Led to by the job's last event; what a person asks has no cause in the log."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_NOTHING_ASKED = asdict(NewJob())

_BY_THE_CLOCK = (ComeDue, Rearm)
"""Requests made because a time has come. A tuple: a union would be built anew for each request."""


class TransactionCache:
    """What a writer remembers from one of its transactions to the next: nobody wrote between."""

    def __init__(self) -> None:
        self._last: tuple[int, bytes] | None = None
        self.contexts: dict[tuple[str, str], int] = {}
        """By directory and PATH: position of the event that recorded the two."""
        self.policy: Policy | None = None
        self.last_number: int | None = None

    def begin(self, last: tuple[int, bytes]) -> None:
        """A transaction begins after this record; what it learns counts once it has ended well."""
        if self._last != last or len(self.contexts) > CONTEXTS_AT_MOST:
            self.contexts, self.policy, self.last_number = {}, None, None
        self._last = None

    def end(self, last: tuple[int, bytes]) -> None:
        """It has written up to this record. Where its commit fails the log will end elsewhere."""
        self._last = last


class Session:
    """One write transaction. What it was asked stands in the log together, or not at all."""

    def __init__(self, tx: SqliteTransaction, cache: TransactionCache) -> None:
        self._tx = tx
        self._cache = cache
        cache.begin(tx.last)
        self._projector = Projector(tx)

    @property
    def at_us(self) -> int:
        """The moment of this transaction: UTC, microseconds since 1970."""
        return self._tx.at_us

    @property
    def tx(self) -> SqliteTransaction:
        """For queries, which see what was asked so far."""
        self._projector.flush()
        return self._tx

    @overload
    def send(self, asked: JobRequest) -> Job | QueueError: ...
    @overload
    def send(self, asked: WorkerRequest) -> Worker | QueueError: ...
    @overload
    def send(self, asked: SetConfig) -> Config | QueueError: ...
    def send(self, asked: AnyRequest) -> Any:
        """Decide, append and fold. A refusal is returned, and nothing of it written."""
        stream = _stream_of(asked)
        if stream[:1] in ("", "$") and isinstance(asked, JobRequest):
            return NoSuchJob(stream)  # other streams begin so: no job's id does
        state = self._projector.state(stream)
        return self._carry_out(stream, state, _decide(state, asked), asked)

    def enqueue(self, new: NewJob) -> Job | QueueError:
        """Accept a job under its own id or the next number, with the policy in force."""
        asked = Enqueue(
            job_id=new.id or self._next_id(),
            new=new,
            policy=self._policy_in_force(),
            context=self._context(new.cwd),
            digest=_digest(new) if new.id else None,
            at_us=self.at_us,
        )
        job = self._projector.state(asked.job_id)
        answer: Job | QueueError = self._carry_out(
            asked.job_id, job, job_rules.enqueue(job, asked), asked
        )
        return answer

    def preload(self, job_ids: Iterable[str]) -> None:
        """Read jobs that will be asked for in one go."""
        self._projector.preload(job_ids)

    def assume(self, jobs: Iterable[Job]) -> None:
        """Take these states for the jobs' last, unread: where one is not, StreamConflict comes."""
        self._projector.assume(jobs)

    def keep_output(self, job_id: str, attempt: int, total_bytes: int, kept: bytes | None) -> None:
        """Keep what an attempt printed, with its result. kept: null where it stands in files."""
        outputs.put(self._tx, job_id, attempt, total_bytes, kept)

    def commit(self) -> None:
        """Commit the transaction, once, after its block has ended. May run in another thread."""
        self._tx.commit()

    def finish(self) -> None:
        """Bring the read models up to the log; the store commits after this."""
        self._projector.flush()
        if self._tx.appended:
            self._tx.execute(ADVANCE, (self._tx.last[0],))
        self._cache.end(self._tx.last)

    def _carry_out(self, stream: str, state: Any, decision: Any, asked: Any) -> Any:
        """What the stream has become by this decision; or the refusal, which changes nothing."""
        if isinstance(decision, QueueError):
            return decision
        if decision:
            self._append(stream, state, decision, asked)
        return self._projector.state(stream)

    def _append(self, stream: str, state: Any, events: Any, asked: Any) -> None:
        made_by_machine = isinstance(asked, _MACHINE_MADE)
        self._projector.fold(
            self._tx.append(
                stream,
                state.version if state is not None else 0,
                events,
                cause=state.position if made_by_machine and state is not None else None,
                actor="timer" if isinstance(asked, _BY_THE_CLOCK) else None,
            )
        )
        if stream == config_fold.STREAM:
            self._cache.policy = None
        if self._projector.pending_streams >= STREAMS_PER_FLUSH:
            self._projector.flush()
            self._projector.forget()

    def _next_id(self) -> str:
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
        """Position of the event that recorded this directory with our PATH."""
        directory, path = cwd or self._here, self._path
        known = self._cache.contexts
        if (directory, path) not in known:
            found = contexts.find(self.tx, _recordable("directory", directory), path)
            known[directory, path] = found or self._record_context(directory, path)
        return known[directory, path]

    @cached_property
    def _here(self) -> str:
        """The working directory, asked for once: it costs as much as folding a job."""
        return _working_directory()

    @cached_property
    def _path(self) -> str:
        """Where programs are looked for: asked for once, as the directory."""
        return _recordable("PATH", os.environ.get("PATH", os.defpath))

    def _record_context(self, cwd: str, path: str) -> int:
        stream = context_fold.STREAM
        last = self._projector.state(stream)
        version = last.version if last else 0
        recorded = self._tx.append(stream, version, (ContextRecorded(cwd=cwd, path=path),))
        self._projector.fold(recorded)
        return recorded[0].position


def _digest(new: NewJob) -> str:
    """SHA-256 of what was asked for: equal for requests that differ only in how they are written.

    Defaults are left out, so that a field that a later version adds changes no digest.
    """
    asked = {name: value for name, value in asdict(new).items() if value != _NOTHING_ASKED[name]}
    if new.run_at is not None:
        del asked["run_at_us"]
    return sha256(_encode(asked)).hexdigest()


def _stream_of(asked: AnyRequest) -> str:
    if isinstance(asked, OfJob):
        return asked.job_id
    return config_fold.STREAM if isinstance(asked, SetConfig) else stream_of(asked.worker_id)


def _decide(state: Any, asked: AnyRequest) -> tuple[Fact, ...] | QueueError:
    if isinstance(asked, OfJob):
        return job_rules.decide(state, asked)
    if isinstance(asked, SetConfig):
        return config_rules.decide(state, asked)
    return worker_rules.decide(state, asked)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise BadInput("the working directory is gone; name another with --cwd") from None


def _recordable(what: str, text: str) -> str:
    """The log is UTF-8; names in another encoding cannot stand in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"the {what} {text!r} is not UTF-8; use another") from None
    return text
