"""What a worker reads and writes: one transaction a round, with results, dues and claims."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from eventstore.errors import Gone, StreamConflict
from eventstore.sqlite.log import Committing, at_once
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
    Lose,
    Outcome,
    Rearm,
    Release,
    RequestStop,
)
from ..core.transaction import Session
from .attempt import Attempt
from .timers import PutOff

PATIENCE_S = 0.5
"""How long to wait for another writer: meanwhile nobody sees to timeouts, signals and output."""

LOOK_BEYOND = 100
"""Jobs to read beyond the number of free slots, if suspects among them have to wait."""

DUE_AT_MOST = 1_000
"""Jobs put back in line by one transaction, however many fell due at once."""

WAITED_FOR: tuple[State, ...] = ("pending", "processing", "scheduled", "failed")
"""States that keep a worker from leaving when it was told to stay until the queue is empty."""


class Result(NamedTuple):
    """The end of an attempt, held until it is in the log."""

    job: Job
    """As it was when claimed."""
    outcome: Outcome
    attempt: Attempt | None
    """What ran; None where it would not start."""


class Claimed(NamedTuple):
    """A job to launch, for its claim is in the log."""

    slot: int
    job: Job
    context: Context | None


class Retry(NamedTuple):
    """A retry that this round put off."""

    job_id: str
    due_at_us: int
    delay_us: int


class Round(NamedTuple):
    """What a transaction has written."""

    before: int
    """Position of the last event before it, whoever wrote that."""
    position: int
    """Of its last event."""
    ended: list[tuple[Result, Job | None]]
    """The results, with what the job has become; None where the claim had been superseded."""
    claimed: list[Claimed]
    retries: list[Retry]
    earliest_us: int | None
    """When the next job falls due."""
    more_due: bool


class Waits(NamedTuple):
    """What a round takes up, to be written again where its commit fails."""

    results: list[Result]
    releases: list[Release]
    overdue: list[PutOff]
    stop: Literal["drain", "now"] | None
    suspect: str | None


class Seen(NamedTuple):
    """What the log holds for this worker at the moment."""

    me: Worker
    active: list[Worker]
    """All that have not ended."""
    cancelled: set[tuple[str, int]]
    """Claims of ours, by job and attempt, that someone asked to end."""
    earliest_us: int | None
    work: bool
    """Whether jobs are ready to be claimed."""
    clock_set_back: bool
    """Whether jobs wait for a delay that, by the clock, has not begun yet."""
    position: int


class Recording:
    """What waits to be recorded. A transaction that fails loses nothing of it."""

    def __init__(
        self, queue: Queue, worker_id: str, queues: tuple[str, ...], draw: Callable[[], float]
    ) -> None:
        self._queue, self._worker_id, self._queues, self._draw = queue, worker_id, queues, draw
        self._contexts: dict[int, Context | None] = {}
        self._suspect: str | None = None
        """The one suspect that runs here: see `_choose`."""
        self.results: list[Result] = []
        self.releases: list[Release] = []
        self.overdue: list[PutOff] = []
        self.stop: Literal["drain", "now"] | None = None
        """What a signal asked for, so that others see that this worker is leaving."""
        self._taken_up: Waits | None = None

    @property
    def waits(self) -> bool:
        """Whether anything does."""
        return bool(self.results or self.releases or self.overdue or self.stop)

    def look(self, *, busy: bool) -> Seen:
        """See what others ask of us, what there is to do, and who else works."""
        with self._queue.read() as tx:
            if (me := workers.get(tx, self._worker_id)) is None:
                raise Gone(self._queue.store.path)  # the file was overwritten by another one
            claims = jobs.of_worker(tx, self._worker_id) if busy else []
            return Seen(
                me=me,
                active=workers.active(tx),
                cancelled={(job.id, job.attempt) for job in claims if job.cancel_requested},
                earliest_us=timers.earliest(tx),
                work=bool(ready.next_ready(tx, self._queues, 1)),
                clock_set_back=bool(timers.begun_after(tx, self._early_us(), 1)),
                position=tx.head().position,
            )

    def _early_us(self) -> int:
        """Waits that began after this time began before the clock was set back."""
        return self._queue.clock.wall_us() + CLOCK_SLACK_US

    def refuse_gone(self) -> None:
        """Raise if the file was deleted or replaced: nobody will ring us then."""
        self._queue.store.refuse_gone()

    def nothing_left(self) -> bool:
        """Whether no job of our queues waits for anything, nor runs elsewhere."""
        with self._queue.read() as tx:
            by_queue = counts.by_queue(tx)
        served = self._queues or tuple(by_queue)
        left = [by_queue[queue].states for queue in served if queue in by_queue]
        return not any(states[state] for states in left for state in WAITED_FOR)

    def nothing_to_run(self) -> bool:
        """Whether no job of our queues can be claimed now, and none has fallen due."""
        with self._queue.read() as tx:
            earliest_us = timers.earliest(tx)
            due = earliest_us is not None and earliest_us <= self._queue.clock.wall_us()
            return not due and not ready.next_ready(tx, self._queues, 1)

    def abandon(self, lost: list[Job]) -> None:
        """Our keeper is dead, and these jobs were ended for it; record that, and that we leave."""
        if self.waits:
            self.round([], due=False)
        with self._queue.write(self._worker_id) as session:
            for job in lost:
                session.ask(Lose(job_id=job.id, attempt=job.attempt, worker=self._worker_id))
            session.ask(EndWorker(worker_id=self._worker_id, reason="keeper-lost"))

    def position(self) -> int:
        """Of the last event, whoever wrote it."""
        with self._queue.read() as tx:
            return tx.head().position

    def round(self, seats: list[int], due: bool, committing: Committing = at_once) -> Round:
        """Write all that waits; then claim for the `seats`.

        The jobs that ended are taken to be as they were when claimed, and read only where the log
        has more of one. Raises what the store raises; where `committing` goes on beside, that
        raises it, and the round is to be undone.
        """
        try:
            return self._round(seats, due, committing, trusting=True)
        except StreamConflict:
            return self._round(seats, due, committing, trusting=False)

    def _round(
        self, seats: list[int], due: bool, committing: Committing, *, trusting: bool
    ) -> Round:
        with self._queue.write(self._worker_id, committing, PATIENCE_S) as session:
            before = session.tx.last[0]
            fallen = self._put_back(session) if due or self.overdue else 0
            suspect = None if self._suspect in self._over() else self._suspect
            chosen = self._choose(session, len(seats), suspect) if seats else []
            if trusting:
                session.assume(result.job for result in self.results)
            session.foresee(
                [*(result.job.id for result in self.results), *(one.job_id for one in chosen)]
            )
            ended = [(result, self._finish(session, result)) for result in self.results]
            for release in self.releases:
                session.ask(release)
            if self.stop:
                how, reason = self.stop, "a signal"
                session.ask(RequestStop(worker_id=self._worker_id, how=how, reason=reason))
            claimed = list(self._claim(session, seats, chosen))
            done = Round(
                before=before,
                position=session.tx.last[0],
                ended=ended,
                claimed=claimed,
                retries=list(_retries(ended, session.at_us)),
                earliest_us=timers.earliest(session.tx),
                more_due=fallen == DUE_AT_MOST,
            )
        self._taken_up = Waits(self.results, self.releases, self.overdue, self.stop, self._suspect)
        self.results, self.releases, self.overdue, self.stop = [], [], [], None
        self._suspect = next((job.job_id for job in _suspects(chosen)), suspect)
        return done

    def undo(self) -> None:
        """The commit of the last round has failed: what it took up waits again."""
        assert self._taken_up
        results, releases, overdue, stop, self._suspect = self._taken_up
        self.results, self.releases = results + self.results, releases + self.releases
        self.overdue, self.stop = overdue + self.overdue, self.stop or stop

    def _over(self) -> set[str]:
        """The jobs that this transaction lets go of."""
        return {one.job.id for one in self.results} | {one.job_id for one in self.releases}

    def _finish(self, session: Session, result: Result) -> Job | None:
        job = session.ask(
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

    def _put_back(self, session: Session) -> int:
        """Requeue what fell due by the wall clock, and of our own retries by the monotonic one too.

        After the clock was set back, begin waits again that by the clock have not begun yet.
        """
        for own in self.overdue:
            session.ask(ComeDue(job_id=own.job_id, at_us=max(own.due_at_us, session.at_us)))
        fallen = timers.due(session.tx, session.at_us, DUE_AT_MOST)
        for job_id in fallen:
            session.ask(ComeDue(job_id=job_id, at_us=session.at_us))
        early = timers.begun_after(session.tx, session.at_us + CLOCK_SLACK_US, DUE_AT_MOST)
        for job_id in early:
            session.ask(Rearm(job_id=job_id, at_us=session.at_us))
        return max(len(fallen), len(early))

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
        self, session: Session, seats: list[int], chosen: list[ready.Ready]
    ) -> Iterator[Claimed]:
        for slot, (job_id, _) in zip(seats, chosen, strict=False):
            job = session.ask(
                Claim(job_id=job_id, worker=self._worker_id, slot=slot, at_us=session.at_us)
            )
            assert isinstance(job, Job), f"job {job_id} is ready and cannot be claimed: {job}"
            yield Claimed(slot, job, self._context(session, job.spec.context))

    def _context(self, session: Session, position: int) -> Context | None:
        if position not in self._contexts:
            self._contexts[position] = contexts.get(session.tx, position) if position else None
        return self._contexts[position]


def _suspects(candidates: list[ready.Ready]) -> list[ready.Ready]:
    """Those of the jobs that the next lost worker would make dead."""
    return [job for job in candidates if job.lost_in_row >= MOST_LOST_IN_ROW - 1]


def _retries(ended: list[tuple[Result, Job | None]], at_us: int) -> Iterator[Retry]:
    for _, job in ended:
        if job is not None and job.due_at_us is not None:
            yield Retry(job.id, job.due_at_us, job.due_at_us - at_us)
