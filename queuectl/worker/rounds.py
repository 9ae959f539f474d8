"""The reads and transactions of a worker: one transaction per round, with results, dues and claims.

`Rounds` holds all that waits to be recorded. `write` prepares one transaction for it; the commit of
that may run in another thread (docs/decisions/0010). Until it has succeeded, the recorded items are
kept as `taken up`, and `undo` makes them wait again.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from eventstore.errors import Gone, StreamConflict
from projections.folds.context import Context
from projections.folds.job import Job, State
from projections.folds.worker import Worker
from projections.read_models import contexts, counts, jobs, ready, timers, workers

from ..api import Queue
from ..core.decisions.job import CLOCK_SLACK_US, MOST_LOST_IN_ROW
from ..core.requests import (
    Claim,
    ComeDue,
    EndWorker,
    Finish,
    Outcome,
    Rearm,
    Release,
    RequestStop,
)
from ..core.transaction import Session
from .attempt import Attempt
from .timers import TimedRetry

ROUND_PATIENCE_S = 0.5
"""How long to wait for another writer: until then no timeout, signal or output is handled."""

LOOK_BEYOND = 100
"""Jobs to read beyond the number of free slots, if suspects among them have to wait."""

DUE_AT_MOST = 1_000
"""Jobs that one transaction requeues, however many have fallen due at once."""

WAITED_FOR: tuple[State, ...] = ("pending", "processing", "scheduled", "failed")
"""States of jobs for which a worker with --until-empty stays."""


class Result(NamedTuple):
    """The end of an attempt, held until it is in the log."""

    job: Job
    """As it was when claimed."""
    outcome: Outcome
    attempt: Attempt | None
    """The attempt; None if its process could not be started."""


class Assignment(NamedTuple):
    """A claimed job and its slot. It may be launched once its claim is committed."""

    slot: int
    job: Job
    context: Context | None


class OwnRetry(NamedTuple):
    """A retry that this worker has scheduled."""

    job_id: str
    due_at_us: int
    delay_us: int


class Round(NamedTuple):
    """A transaction that is written and not yet committed."""

    before: int
    """Position of the last event before it, by any writer."""
    position: int
    """Of its last event."""
    ended: list[tuple[Result, Job | None]]
    """The results, each with the new state of its job; None if the claim was superseded."""
    claimed: list[Assignment]
    retries: list[OwnRetry]
    earliest_us: int | None
    """When the next job falls due (UTC)."""
    more_due: bool
    """Whether more jobs have fallen due than one transaction requeues."""
    commit: Callable[[], None]
    """Commits it, once; until then no claim of it may be launched."""


class Unrecorded(NamedTuple):
    """The items that a round records, kept until its commit has succeeded."""

    results: list[Result]
    releases: list[Release]
    overdue: list[TimedRetry]
    stop: Literal["drain", "now"] | None
    suspect: str | None


class LogState(NamedTuple):
    """The parts of the log that concern a worker."""

    me: Worker
    active: list[Worker]
    """All workers that have not ended."""
    cancelled: set[tuple[str, int]]
    """Claims of this worker, by job and attempt, that somebody asked to cancel."""
    earliest_us: int | None
    """When the next job falls due (UTC)."""
    ready: bool
    """Whether there are jobs to claim."""
    clock_set_back: bool
    """Whether jobs wait for a delay that, by the clock, has not begun yet."""
    position: int


class Rounds:
    """All that a worker has to record. A transaction that fails loses nothing of it."""

    def __init__(
        self, queue: Queue, worker_id: str, queues: tuple[str, ...], draw: Callable[[], float]
    ) -> None:
        self._queue, self._worker_id, self._queues, self._draw = queue, worker_id, queues, draw
        self._contexts: dict[int, Context | None] = {}
        self._suspect: str | None = None
        """The suspect that runs here, if any: see `_choose`."""
        self.results: list[Result] = []
        self.releases: list[Release] = []
        self.overdue: list[TimedRetry] = []
        self.stop: Literal["drain", "now"] | None = None
        """The stop that a signal asked for, recorded so that others see that this worker leaves."""
        self._taken_up: Unrecorded | None = None

    @property
    def waits(self) -> bool:
        """Whether anything waits to be recorded."""
        return bool(self.results or self.releases or self.overdue or self.stop)

    def read_log(self, *, busy: bool) -> LogState:
        """Read the requests to this worker, the jobs to claim, and the other workers.

        busy: whether this worker has claims, which may be cancelled. Raises Gone if the file was
        overwritten by another queue.
        """
        with self._queue.read() as tx:
            if (me := workers.get(tx, self._worker_id)) is None:
                raise Gone(self._queue.store.label)
            claims = jobs.of_worker(tx, self._worker_id) if busy else []
            return LogState(
                me=me,
                active=workers.active(tx),
                cancelled={(job.id, job.attempt) for job in claims if job.cancel_requested},
                earliest_us=timers.earliest(tx),
                ready=bool(ready.next_ready(tx, self._queues, 1)),
                clock_set_back=bool(timers.begun_after(tx, self._early_us(), 1)),
                position=tx.head().position,
            )

    def _early_us(self) -> int:
        """Return the time (UTC) after which a wait has begun only if the clock was set back."""
        return self._queue.clock.wall_us() + CLOCK_SLACK_US

    def refuse_gone(self) -> None:
        """Raise Gone if the file was deleted or replaced: nobody rings the doorbell then."""
        self._queue.store.refuse_gone()

    def nothing_left(self) -> bool:
        """Return whether no job of the served queues waits for anything or runs elsewhere."""
        with self._queue.read() as tx:
            by_queue = counts.by_queue(tx)
        served = self._queues or tuple(by_queue)
        states = [by_queue[queue].states for queue in served if queue in by_queue]
        return not any(count[state] for count in states for state in WAITED_FOR)

    def nothing_to_run(self) -> bool:
        """Return whether no job of the served queues can be claimed and none has fallen due."""
        with self._queue.read() as tx:
            earliest_us = timers.earliest(tx)
            due = earliest_us is not None and earliest_us <= self._queue.clock.wall_us()
            return not due and not ready.next_ready(tx, self._queues, 1)

    def abandon(self) -> None:
        """Record that the keeper is dead and the worker leaves: its claims are lost, too.

        The caller has killed all jobs whose end does not wait to be recorded.
        """
        if self.waits:
            self.write([], due=False).commit()
        with self._queue.write(self._worker_id) as session:
            session.send(EndWorker(worker_id=self._worker_id, reason="keeper-lost"))

    def position(self) -> int:
        """Return the position of the last event, by any writer."""
        with self._queue.read() as tx:
            return tx.head().position

    def write(self, slots: list[int], due: bool) -> Round:
        """Prepare a transaction that records all that waits and claims a job for each of `slots`.

        due: also requeue jobs that have fallen due. The caller runs the commit of the result; if
        that fails, it calls `undo`. Ended jobs are assumed to be unchanged since they were claimed;
        if the log has other events of one, they are read, and the transaction is prepared again.
        Raises the errors of the store; then nothing was written, and everything still waits.
        """
        try:
            return self._prepare(slots, due, trusting=True)
        except StreamConflict:
            return self._prepare(slots, due, trusting=False)

    def undo(self) -> None:
        """Let the items of the last round wait again, for its commit has failed."""
        assert self._taken_up
        results, releases, overdue, stop, self._suspect = self._taken_up
        self.results, self.releases = results + self.results, releases + self.releases
        self.overdue, self.stop = overdue + self.overdue, self.stop or stop

    def _prepare(self, slots: list[int], due: bool, *, trusting: bool) -> Round:
        """trusting: do not read the jobs of the results; a changed one raises StreamConflict."""
        with self._queue.prepare(self._worker_id, ROUND_PATIENCE_S) as session:
            before = session.tx.last[0]
            requeued = self._requeue_due(session) if due or self.overdue else 0
            suspect = None if self._suspect in self._ending() else self._suspect
            chosen = self._choose(session, len(slots), suspect) if slots else []
            if trusting:
                session.assume(result.job for result in self.results)
            session.preload(
                [*(result.job.id for result in self.results), *(job.job_id for job in chosen)]
            )
            ended = [(result, self._finish(session, result)) for result in self.results]
            for release in self.releases:
                session.send(release)
            if self.stop:
                how, reason = self.stop, "a signal"
                session.send(RequestStop(worker_id=self._worker_id, how=how, reason=reason))
            claimed = list(self._claim(session, slots, chosen))
            done = Round(
                before=before,
                position=session.tx.last[0],
                ended=ended,
                claimed=claimed,
                retries=list(_retries(ended, session.at_us)),
                earliest_us=timers.earliest(session.tx),
                more_due=requeued == DUE_AT_MOST,
                commit=session.commit,
            )
        self._taken_up = Unrecorded(
            self.results, self.releases, self.overdue, self.stop, self._suspect
        )
        self.results, self.releases, self.overdue, self.stop = [], [], [], None
        self._suspect = next((job.job_id for job in _suspects(chosen)), suspect)
        return done

    def _ending(self) -> set[str]:
        """The jobs whose claims this transaction ends."""
        results = {result.job.id for result in self.results}
        return results | {release.job_id for release in self.releases}

    def _finish(self, session: Session, result: Result) -> Job | None:
        job = session.send(
            Finish(
                job_id=result.job.id,
                attempt=result.job.attempt,
                worker=self._worker_id,
                outcome=result.outcome,
                jitter=self._draw(),
                at_us=session.at_us,
            )
        )
        if not isinstance(job, Job):
            return None
        printed = result.attempt.printed if result.attempt else None
        if printed and printed.total_bytes:
            session.keep_output(job.id, result.job.attempt, printed.total_bytes, printed.blob)
        return job

    def _requeue_due(self, session: Session) -> int:
        """Requeue jobs that have fallen due by the wall clock, or own retries by the monotonic one.

        After the clock was set back, begin waits again that by the clock have not begun yet. Return
        the number of jobs.
        """
        for retry in self.overdue:
            session.send(ComeDue(job_id=retry.job_id, at_us=max(retry.due_at_us, session.at_us)))
        due = timers.due(session.tx, session.at_us, DUE_AT_MOST)
        for job_id in due:
            session.send(ComeDue(job_id=job_id, at_us=session.at_us))
        early = timers.begun_after(session.tx, session.at_us + CLOCK_SLACK_US, DUE_AT_MOST)
        for job_id in early:
            session.send(Rearm(job_id=job_id, at_us=session.at_us))
        return max(len(due), len(early))

    def _choose(self, session: Session, number: int, suspect: str | None) -> list[ready.Ready]:
        """Return the next jobs to claim, at most one suspect among them and those that run here.

        A suspect is a job that the next lost worker would make dead, though another job may be the
        one that kills workers. Suspects therefore run one at a time, next to ordinary jobs.
        """
        candidates = ready.next_ready(session.tx, self._queues, number)
        suspects = _suspects(candidates)
        if not suspects:
            return candidates
        if len(suspects) + (suspect is not None) > 1:
            candidates = ready.next_ready(session.tx, self._queues, number + LOOK_BEYOND)
            suspects = _suspects(candidates)
        postponed = suspects if suspect is not None else suspects[1:]
        return [job for job in candidates if job not in postponed][:number]

    def _claim(
        self, session: Session, slots: list[int], chosen: list[ready.Ready]
    ) -> Iterator[Assignment]:
        for slot, (job_id, _) in zip(slots, chosen, strict=False):
            job = session.send(
                Claim(job_id=job_id, worker=self._worker_id, slot=slot, at_us=session.at_us)
            )
            assert isinstance(job, Job), f"job {job_id} is ready and cannot be claimed: {job}"
            yield Assignment(slot, job, self._context(session, job.spec.context))

    def _context(self, session: Session, position: int) -> Context | None:
        if position not in self._contexts:
            self._contexts[position] = contexts.get(session.tx, position) if position else None
        return self._contexts[position]


def _suspects(candidates: list[ready.Ready]) -> list[ready.Ready]:
    """Return the jobs that the next lost worker would make dead."""
    return [job for job in candidates if job.lost_in_row >= MOST_LOST_IN_ROW - 1]


def _retries(ended: list[tuple[Result, Job | None]], at_us: int) -> Iterator[OwnRetry]:
    for _, job in ended:
        if job is not None and job.due_at_us is not None:
            yield OwnRetry(job.id, job.due_at_us, job.due_at_us - at_us)
