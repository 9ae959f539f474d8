"""The reads and transactions of a worker: one transaction per round of its loop.

The transaction records results and jobs that fell due, and claims jobs. `Rounds` holds the items
that this worker has not recorded yet. `take_up` takes up all of them for one transaction, and
`prepare` prepares it; its commit, or on a server all of it, may run in another thread
(docs/decisions/0010, 0027). Until the commit has succeeded, the items are kept in `_taken_up`; if
anything fails, `undo` makes them unrecorded again.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from eventstore.errors import Gone, StreamConflict
from eventstore.store import Query
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
from ..errors import WorkerEnded
from .attempt import Attempt
from .timers import TimedRetry

LOCK_PATIENCE_S = 0.5
"""Longest wait for the write lock.

It is short because the loop handles no timeout, signal or output while it waits.
"""

LOCK_PATIENCE_ON_SERVER_S = 2.0
"""The same on a server, where waiting programs get the lock in turn.

With many hosts the turn may take longer than half a second, and who gives up goes to the end.
"""

MORE_JOBS_TO_READ = 100
"""Jobs to read in addition to the number of free slots, if suspects among them have to wait."""

MOST_DUE_JOBS = 1_000
"""The most jobs that one transaction requeues because they have fallen due."""

NOT_ENDED: tuple[State, ...] = ("pending", "processing", "scheduled", "failed")
"""While a job has one of these states, a worker with --until-empty stays."""


class Result(NamedTuple):
    """The end of an attempt, kept until it is in the log."""

    job: Job
    """Its state when it was claimed."""
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
    """A transaction that is complete but not yet committed."""

    before: int
    """Position of the last event before it, by any writer."""
    position: int
    """Position of its last event."""
    ended: list[tuple[Result, Job | None]]
    """The results, each with the new state of its job.

    None instead of a state if the log says that the claim is no longer current.
    """
    claimed: list[Assignment]
    retries: list[OwnRetry]
    earliest_us: int | None
    """When the next job falls due (UTC, microseconds)."""
    more_ready: bool
    """Whether there may be more jobs to claim: each slot got one."""
    more_due: bool
    """Whether more jobs may have fallen due than this transaction has requeued."""
    commit: Callable[[], None]
    """Commits the transaction; call it once. Until it has returned, launch none of its claims."""

    def committed(self) -> "Round":
        """Commit the transaction, and return this round."""
        self.commit()
        return self


class TakenUp(NamedTuple):
    """The items that a round records, kept until its commit has succeeded."""

    results: list[Result]
    releases: list[Release]
    due_retries: list[TimedRetry]
    stop: Literal["drain", "now"] | None
    suspect: str | None
    """The suspect that the worker ran before: see `Rounds._choose`."""


class LogState(NamedTuple):
    """The parts of the log that concern a worker."""

    me: Worker
    active: list[Worker]
    """All workers that have not ended."""
    cancelled: set[tuple[str, int]]
    """Job and attempt of each claim of this worker that a user asked to cancel."""
    earliest_us: int | None
    """When the next job falls due (UTC, microseconds)."""
    has_ready_jobs: bool
    """Whether there are jobs to claim."""
    clock_set_back: bool
    """Whether some delay begins in the future by the clock: then the clock was set back."""
    position: int
    """Position of the last event, by any writer."""


class Rounds:
    """The items that a worker still has to record. If a transaction fails, all of them are kept."""

    def __init__(
        self,
        queue: Queue,
        worker_id: str,
        queues: tuple[str, ...],
        draw_jitter: Callable[[], float],
        lives_by: Literal["locks", "lease"] = "locks",
    ) -> None:
        """lives_by: a lease ends by time, so this worker may be taken over while it is running."""
        self._queue, self._worker_id, self._queues = queue, worker_id, queues
        self._may_be_lost = lives_by == "lease"
        self._patience_s = LOCK_PATIENCE_ON_SERVER_S if self._may_be_lost else LOCK_PATIENCE_S
        self._draw_jitter = draw_jitter
        self._contexts: dict[int, Context | None] = {}
        self._likely: set[str] = set()
        """Queues of the last claims: their next jobs are read ahead."""
        self._suspect: str | None = None
        """Id of the suspect that this worker runs, if any: see `_choose`."""
        self.results: list[Result] = []
        self.releases: list[Release] = []
        self.due_retries: list[TimedRetry] = []
        self.stop: Literal["drain", "now"] | None = None
        """The stop that a signal requested. It is recorded, so that others see it."""
        self._taken_up: TakenUp | None = None

    @property
    def has_unrecorded(self) -> bool:
        """Whether there are items to record."""
        return bool(self.results or self.releases or self.due_retries or self.stop)

    def read_log(self, *, busy: bool) -> LogState:
        """Read the requests to this worker, the jobs to claim, and the other workers.

        busy: whether this worker has claims, which may be cancelled. Raises Gone if the file was
        overwritten by another queue.
        """
        begun_us = self._latest_begin_us()

        def ahead() -> Iterator[Query]:
            yield from (workers.get_query(self._worker_id), workers.ACTIVE, timers.EARLIEST)
            yield timers.begun_after_query(begun_us, 1)
            yield from self._next_ready_queries(1)

        with self._queue.read(ahead) as tx:
            if (me := workers.get(tx, self._worker_id)) is None:
                raise Gone(self._queue.store.label)
            claims = jobs.of_worker(tx, self._worker_id) if busy else []
            return LogState(
                me=me,
                active=workers.active(tx),
                cancelled={(job.id, job.attempt) for job in claims if job.cancel_requested},
                earliest_us=timers.earliest(tx),
                has_ready_jobs=bool(ready.next_ready(tx, self._queues, 1)),
                clock_set_back=bool(timers.begun_after(tx, begun_us, 1)),
                position=tx.head().position,
            )

    def _next_ready_queries(self, limit: int) -> Iterator[Query]:
        return ready.next_ready_queries(self._queues, self._likely, limit)

    def _latest_begin_us(self) -> int:
        """Return a time (UTC, microseconds).

        A delay that began later than this shows that the clock was set back.
        """
        return self._queue.store.wall_us() + CLOCK_SLACK_US

    def refuse_gone(self) -> None:
        """Raise Gone if the file was deleted or replaced.

        This must be checked, because no writer rings the doorbell of such a file.
        """
        self._queue.store.refuse_gone()

    def all_jobs_ended(self) -> bool:
        """Return whether all jobs of the served queues have ended."""
        with self._queue.read() as tx:
            by_queue = counts.by_queue(tx)
        served = self._queues or tuple(by_queue)
        states = [by_queue[queue].states for queue in served if queue in by_queue]
        return not any(count[state] for count in states for state in NOT_ENDED)

    def no_job_can_run(self) -> bool:
        """Return whether no job of the served queues can be claimed and none has fallen due."""
        with self._queue.read() as tx:
            earliest_us = timers.earliest(tx)
            due = earliest_us is not None and earliest_us <= self._queue.store.wall_us()
            return not due and not ready.next_ready(tx, self._queues, 1)

    def abandon(self) -> None:
        """Record that this worker ends because its keeper is dead. Its other claims are lost.

        The caller has killed every job, except those that ended and only wait to be recorded.
        """
        if self.has_unrecorded:
            self.write([], due=False).commit()
        with self._queue.write(self._worker_id) as session:
            session.send(EndWorker(worker_id=self._worker_id, reason="keeper-lost"))

    def others_wrote_after(self, position: int) -> bool:
        """Return whether there may be events of others after this position.

        position: of the last event that this worker has read or written. Called when the bell has
        rung.
        """
        if not self._queue.store.own_commits_ring:
            return True
        with self._queue.read() as tx:
            return tx.head().position != position

    def write(self, slots: list[int], due: bool) -> Round:
        """Take up all items and prepare their transaction; the caller runs the commit.

        If the commit fails, the caller calls `undo`. Parameters and errors are those of `prepare`;
        after an error, the items are unrecorded again.
        """
        self.take_up()
        try:
            return self.prepare(slots, due)
        except BaseException:
            self.undo()
            raise

    def take_up(self) -> None:
        """Take up all items for the next round; items that are added later wait for another one."""
        self._taken_up = TakenUp(
            self.results, self.releases, self.due_retries, self.stop, self._suspect
        )
        self.results, self.releases, self.due_retries, self.stop = [], [], [], None

    def undo(self) -> None:
        """Make the items of the last round unrecorded again, because it has failed."""
        assert self._taken_up
        results, releases, due_retries, stop, self._suspect = self._taken_up
        self.results, self.releases = results + self.results, releases + self.releases
        self.due_retries, self.stop = due_retries + self.due_retries, self.stop or stop

    def record(self, slots: list[int], due: bool) -> Round:
        """Prepare the transaction of the items that were taken up, and commit it.

        It may run in another thread, which then is the only user of the store. Parameters are those
        of `prepare`, errors also those of the commit.
        """
        return self.prepare(slots, due).committed()

    def prepare(self, slots: list[int], due: bool) -> Round:
        """Prepare a transaction that records what was taken up, and claims a job for each slot.

        due: also requeue jobs that have fallen due. Fewer jobs are claimed if fewer are ready.
        Ended jobs are assumed to be unchanged since they were claimed. If the log has new events of
        such a job, the jobs are read and the transaction is prepared again.
        Raises the errors of the store, or WorkerEnded if another worker has taken this one over;
        then nothing was written.
        """
        assert self._taken_up
        try:
            return self._prepare(self._taken_up, slots, due, assume_unchanged=True)
        except StreamConflict:
            return self._prepare(self._taken_up, slots, due, assume_unchanged=False)

    def _prepare(
        self, items: TakenUp, slots: list[int], due: bool, *, assume_unchanged: bool
    ) -> Round:
        """Prepare the transaction of `prepare`.

        assume_unchanged: do not read the jobs of the results. If one has changed, StreamConflict is
        raised.
        """
        ahead = partial(self._queries_ahead, len(slots))
        with self._queue.prepare(self._worker_id, self._patience_s, ahead) as session:
            before = session.tx.last[0]
            number = len(slots)
            if slots and self._may_be_lost and not self._may_claim(session):
                number = 0
            has_due = due or items.due_retries
            requeued = self._requeue_due(session, items.due_retries) if has_due else 0
            suspect = None if items.suspect in _ending(items) else items.suspect
            chosen = self._choose(session, number, suspect) if number else []
            if assume_unchanged:
                session.assume(result.job for result in items.results)
            else:
                session.preload(result.job.id for result in items.results)
            session.assume(chosen)
            # Only results add due times. Without a query after them, they are sent with the commit.
            waiting_us = None if has_due else timers.earliest(session.tx)
            ended = [(result, self._finish(session, result)) for result in items.results]
            for release in items.releases:
                session.send(release)
            if items.stop:
                how, reason = items.stop, "a signal"
                session.send(RequestStop(worker_id=self._worker_id, how=how, reason=reason))
            claimed = list(self._claim(session, slots, chosen))
            retries = list(_retries(ended, session.at_us))
            prepared = Round(
                before=before,
                position=session.tx.last[0],
                ended=ended,
                claimed=claimed,
                retries=retries,
                earliest_us=timers.earliest(session.tx)
                if has_due
                else _earlier(waiting_us, retries),
                more_ready=len(claimed) == len(slots),
                more_due=requeued == MOST_DUE_JOBS,
                commit=session.commit,
            )
        self._suspect = next((job.id for job in _suspects(chosen)), suspect)
        if claimed:
            self._likely = {assignment.job.spec.queue for assignment in claimed}
        return prepared

    def _queries_ahead(self, number: int) -> Iterator[Query]:
        """Yield the queries with which a transaction begins that claims so many jobs."""
        yield timers.EARLIEST
        if number:
            if self._may_be_lost:
                yield workers.get_query(self._worker_id)
            yield from self._next_ready_queries(number)

    def _may_claim(self, session: Session) -> bool:
        """Return False if this worker was asked to stop.

        Raise WorkerEnded if it was taken over: nobody would lose its further claims.
        """
        me = workers.get(session.tx, self._worker_id)
        if me is not None and not me.active:
            raise WorkerEnded(me.id, me.state)
        return me is None or me.stop is None

    def _finish(self, session: Session, result: Result) -> Job | None:
        """Record a result and the output. Return the new state of the job; None if refused."""
        job = session.send(
            Finish(
                job_id=result.job.id,
                attempt=result.job.attempt,
                worker=self._worker_id,
                outcome=result.outcome,
                jitter=self._draw_jitter(),
                at_us=session.at_us,
            )
        )
        if not isinstance(job, Job):
            return None
        output = result.attempt.kept_output if result.attempt else None
        if output and output.total_bytes:
            session.keep_output(job.id, result.job.attempt, output.total_bytes, output.blob)
        return job

    def _requeue_due(self, session: Session, due_retries: list[TimedRetry]) -> int:
        """Requeue jobs that are due by the wall clock, and own retries due by the monotonic clock.

        Restart each delay whose beginning is in the future by the clock. Return the number of jobs
        due by the wall clock, or of restarted delays if there are more of these: if it is
        MOST_DUE_JOBS, there may be more of them.
        """
        for retry in due_retries:
            session.send(ComeDue(job_id=retry.job_id, at_us=max(retry.due_at_us, session.at_us)))
        due = timers.due(session.tx, session.at_us, MOST_DUE_JOBS)
        for job_id in due:
            session.send(ComeDue(job_id=job_id, at_us=session.at_us))
        restarted = timers.begun_after(session.tx, session.at_us + CLOCK_SLACK_US, MOST_DUE_JOBS)
        for job_id in restarted:
            session.send(Rearm(job_id=job_id, at_us=session.at_us))
        return max(len(due), len(restarted))

    def _choose(self, session: Session, number: int, suspect: str | None) -> list[Job]:
        """Return the next jobs to claim, at most `number`, in the order in which they are to run.

        suspect: the id of the suspect that this worker runs; None if it runs none. A suspect is a
        job that becomes dead if its worker dies once more, though another job may be the one that
        kills workers. So at most one suspect is chosen or already running in this worker, next to
        ordinary jobs.
        """
        candidates = ready.next_ready(session.tx, self._queues, number)
        suspects = _suspects(candidates)
        if not suspects:
            return candidates
        if len(suspects) + (suspect is not None) > 1:
            candidates = ready.next_ready(session.tx, self._queues, number + MORE_JOBS_TO_READ)
            suspects = _suspects(candidates)
        postponed = suspects if suspect is not None else suspects[1:]
        return [job for job in candidates if job not in postponed][:number]

    def _claim(self, session: Session, slots: list[int], chosen: list[Job]) -> Iterator[Assignment]:
        """Claim the chosen jobs, one per slot."""
        for slot, job in zip(slots, chosen, strict=False):
            claimed = session.send(
                Claim(job_id=job.id, worker=self._worker_id, slot=slot, at_us=session.at_us)
            )
            assert isinstance(claimed, Job), f"job {job.id} is ready, but refused: {claimed}"
            yield Assignment(slot, claimed, self._context(session, claimed.spec.context))

    def _context(self, session: Session, position: int) -> Context | None:
        """Return the context that the event at `position` recorded; None if there is none."""
        if position not in self._contexts:
            self._contexts[position] = contexts.get(session.tx, position) if position else None
        return self._contexts[position]


def _ending(items: TakenUp) -> set[str]:
    """Return the ids of the jobs whose claims end with these items."""
    results = {result.job.id for result in items.results}
    return results | {release.job_id for release in items.releases}


def _suspects(candidates: list[Job]) -> list[Job]:
    """Return the jobs that become dead if their worker dies once more."""
    return [job for job in candidates if job.lost_in_row >= MOST_LOST_IN_ROW - 1]


def _earlier(waiting_us: int | None, retries: list[OwnRetry]) -> int | None:
    """Return the earliest due time: of these retries, or that of all other jobs."""
    due_us = [retry.due_at_us for retry in retries]
    return min(due_us if waiting_us is None else [*due_us, waiting_us], default=None)


def _retries(ended: list[tuple[Result, Job | None]], at_us: int) -> Iterator[OwnRetry]:
    """Yield the retries that these results have scheduled. at_us: the time of the transaction."""
    for _, job in ended:
        if job is not None and job.due_at_us is not None:
            yield OwnRetry(job.id, job.due_at_us, job.due_at_us - at_us)
