"""The loop of a worker: handle events, record and claim in one transaction, launch, wait.

One thread runs the loop. It sleeps until an event arrives, so an idle worker uses almost no CPU.
Only a commit may run at the same time, in the committer's thread (docs/decisions/0010); on a server
the whole transaction does (docs/decisions/0027). Until the loop has handled the outcome, it neither
writes nor reads the log. `Running` owns the
attempts, `Prefetch` the claims that wait for a slot (docs/decisions/0007), `Rounds` the results
that wait to be recorded, and `Pace` decides when to write and when to wake up. Two orders must
hold: a job is launched only after the commit of its claim has returned, and the results of a
refused write are kept until it succeeds.

On a server, two more threads run: the heart and the fence (docs/decisions/0019). If the server does
not answer, results wait as they do for a full disk, until a beat of the heart was answered.

Clock, launcher and randomness are passed in.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from eventstore.errors import Away, Busy, Full, StreamConflict

from ..api import Queue
from ..core.requests import EndWorker, Outcome
from ..errors import WorkerEnded
from ..outputs.writer import OutputWriter
from .attempt import EXIT_SEEN_US, Attempt, order
from .committer import Committer
from .console import Console
from .fence import STOPPED_WHILE_FROZEN
from .launcher import Child, Launcher
from .order import Exhausted, NotStarted
from .pace import TRY_AGAIN_US, Facts, Pace, WaitUntil, WriteNow
from .prefetch import Prefetch
from .presence import Presence
from .process_mark import mark_of
from .rounds import Assignment, Result, Round, Rounds
from .running import Running
from .sd_notify import Notifier, Status
from .selector import Selector, Woken
from .server import Server
from .stopping import Stopping, Urgency
from .takeover import Peers
from .timers import Timers

Refused = Full | Busy | Away
REFUSED = (Full, Busy, Away)
"""Errors of the store after which the same is tried again."""

Reason = Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost"]


class Duty(NamedTuple):
    """The identity of a worker, its queues, and when it ends by itself."""

    worker_id: str
    token: str
    slots: int
    queues: tuple[str, ...]
    """The queues that it serves; empty means all."""
    until_empty: bool
    until_idle: bool = False
    """End when no job can run now, even if jobs fall due later or run in other workers."""
    lease_us: int | None = None
    """On a server: how long it may be silent until others take it over; None for no limit."""


class News(msgspec.Struct):
    """The events of other processes that this worker has not handled yet."""

    position: int = 0
    """Position of the last event that this worker has read or written."""
    rung: bool = False
    """Whether events may have been appended since."""
    postponed: bool = False
    """Whether the log is read only after jobs were claimed: see `_claims_first`."""
    ready: bool = False
    """Whether there may be jobs to claim."""
    due: bool = False
    """Whether delayed jobs or retries have fallen due."""
    died: list[str] = []
    """Ids of workers whose keeper or supervisor has ended."""
    children: bool = False
    """Whether processes of jobs may have ended; they are reaped when no job is frozen."""


class Supervisor:
    """One life of a worker, from its start in the log to its end there."""

    def __init__(
        self,
        duty: Duty,
        queue: Queue,
        presence: Presence,
        alarm: Timers,
        selector: Selector,
        committer: Committer,
        launcher: Launcher,
        draw_jitter: Callable[[], float],
        console: Console,
        server: Server | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """server: None for a queue in a file. notifier: None if systemd has not started it."""
        self._duty, self._queue, self._presence, self._alarm = duty, queue, presence, alarm
        self._selector, self._committer, self._launcher = selector, committer, launcher
        self._console, self._server, self._notifier = console, server, notifier
        self._stopping = Stopping()
        lives_by: Literal["locks", "lease"] = "locks" if server is None else "lease"
        self._rounds = Rounds(queue, duty.worker_id, duty.queues, draw_jitter, lives_by)
        self._peers = Peers(queue, duty.worker_id, selector, console)
        self._running = Running(duty.slots, launcher, selector, console)
        self._prefetch = Prefetch(duty.slots)
        self._pace = Pace()
        self._news = News(rung=True)
        queue.store.side_folder.folder("outputs")  # raises if it cannot be created

    @property
    def interrupted(self) -> bool:
        """Whether two or more stop signals arrived.

        A stop that is only in the log does not count.
        """
        return self._stopping.signals > 1

    def run(self) -> Reason:
        """Work until there is a reason to end; record and return it. Raises the store's errors."""
        woken = self._selector.wait(0)  # a stop signal for an earlier supervisor
        while not woken.keeper_gone:
            self._take_in(woken)
            self._launch_assigned()
            until_us = self._write_if_due()
            if (reason := self._end_if_due()) is not None:
                return reason
            if self._notifier is not None:
                until_us = self._notify(self._notifier, until_us)
            woken = self._selector.wait(until_us - self._now_us())
        return self._leave_without_keeper()

    def _notify(self, notifier: Notifier, until_us: int) -> int:
        """Report the state to systemd. Return until when to wait, at most `until_us`."""
        status = Status(
            running=len(self._running),
            slots=self._duty.slots,
            others_wait=self._news.ready or bool(self._prefetch),
            urgency=self._stopping.urgency,
            is_away=self._is_away(),
        )
        next_us = notifier.report(status, self._now_us())
        return until_us if next_us is None else min(until_us, next_us)

    def _take_in(self, woken: Woken) -> None:
        """Handle the events since the last wait. The order of the steps matters."""
        self._note_fence()
        if woken.committed:
            self._take_in_commit()
        now_us = self._now_us()  # read after the commit: later than the start of every attempt
        if woken.hangup or woken.stops or woken.passed_on:
            self._handle_signals(woken, now_us)
        self._note_news(woken, now_us)
        if not self._committer.busy:
            self._read_if_answered(now_us)
        self._apply_urgency(now_us)
        self._running.read(woken.printed, now_us)
        self._news.children |= woken.children
        if self._are_frozen():
            self._leave_if_urged()
            return
        if self._news.children:
            self._news.children = False
            self._running.reap(now_us)
        if self._running.free_slots(now_us):
            self._launch_assigned()  # before all other work, so that no slot stays free
        self._collect_results(now_us)
        self._running.remind(now_us)

    def _are_frozen(self) -> bool:
        """Return whether the jobs are frozen: then none is launched, ended or timed out."""
        return self._server is not None and self._server.are_frozen()

    def _note_fence(self) -> None:
        """Note that the jobs were frozen, or go on. Frozen time does not count for timeouts."""
        if self._server is None:
            return
        if self._server.note_freeze():
            self._console.frozen(len(self._running))
        if (frozen_us := self._server.note_thaw()) is not None:
            self._running.thawed(frozen_us)
            self._console.thawed(len(self._running))
            self._news.rung = True

    def _leave_if_urged(self) -> None:
        """Kill the frozen jobs and exit after a second stop signal: no result can be recorded.

        After the first one, wait for the server.
        """
        if self._stopping.urgency == Urgency.DRAIN and len(self._running):
            self._console.waits_frozen()
        if self._server is not None and self._stopping.urgency > Urgency.DRAIN:
            self._server.fence.trip(
                "stopped while the server is away, so other workers requeue the jobs",
                STOPPED_WHILE_FROZEN,
            )

    def _handle_signals(self, woken: Woken, now_us: int) -> None:
        """Handle stop signals: note how urgent they are, and that a stop must be recorded."""
        if woken.hangup:
            self._stopping.requested("drain")
        self._stopping.signalled(woken.stops, woken.passed_on)
        self._running.signalled(now_us)
        self._rounds.stop = "now" if self._stopping.urgency > Urgency.DRAIN else "drain"
        if self._stopping.urgency == Urgency.AT_ONCE:
            self._queue.store.settles_within_s = 0.0

    def _note_news(self, woken: Woken, now_us: int) -> None:
        """Note alarms, new events and ended workers. The log is read later, when no commit runs."""
        if woken.alarm:
            self._alarm.take()
            self._news.due = True
        self._rounds.due_retries += self._alarm.due_retries(now_us)
        if woken.rung:
            self._presence.drain()
            self._news.rung = True
        if woken.heart:
            self._pace.check_now()
        if self._server is not None and self._server.note_beat(woken.heart):
            self._console.say(f"the server of {self._queue.store.label} answers again")
            self._news.rung = True
        self._news.died += woken.died

    def _read_if_answered(self, now_us: int) -> None:
        """Read the log, unless the server is away, or jobs are claimed first."""
        if self._is_away():
            return
        self._news.postponed = not self._news.postponed and self._claims_first()
        if self._news.postponed:
            self._news.ready = True
            return
        try:
            self._read_news(now_us)
        except Away as error:
            self._news.rung = True
            self._note_away(error)

    def _claims_first(self) -> bool:
        """Return whether to claim jobs before the log is read.

        An idle worker on a server does so if the bell has rung: a job begins earlier by a third. A
        stop is seen in the transaction of the claims, and there is nothing to cancel.
        """
        if self._server is None or not self._news.rung or not self._news.position:
            return False
        is_busy = len(self._running) or self._prefetch or self._rounds.has_unrecorded
        return not (is_busy or self._stopping.urgency or self._news.died)

    def _is_away(self) -> bool:
        """Return whether the server did not answer, and has not answered a beat since.

        Then nothing is tried: the loop would wait in vain, and handle no signal or timeout.
        """
        return self._server is not None and self._server.is_away()

    def _note_away(self, error: Away) -> None:
        """Note that the server does not answer. After a third stop signal, raise the error."""
        if self._server is None or self._stopping.urgency == Urgency.AT_ONCE:
            raise error
        if self._server.note_away():
            self._console.say(
                f"no answer from the server of {self._queue.store.label}; results are held until"
                " it is back"
            )

    def _read_news(self, now_us: int) -> None:
        """Read the log if others have written; and regularly, even if no doorbell rang."""
        rung, self._news.rung = self._news.rung, False
        if self._pace.check_is_due(now_us):
            self._rounds.refuse_gone()
            self._presence.check()
            self._read_log(now_us, everyone=True)
        elif rung and self._rounds.others_wrote_after(self._news.position):
            self._read_log(now_us, everyone=False)
        while self._news.died:
            self._peers.died(self._news.died.pop())
            self._news.ready = True
        if self._peers.check_again(now_us):
            self._news.ready = True
        if self._server is not None:
            for overdue in self._server.take_overdue():
                self._news.ready |= self._peers.overdue(overdue)

    def _read_log(self, now_us: int, *, everyone: bool) -> None:
        """Read the requests to this worker, whether there are jobs to claim, and the other workers.

        everyone: also check the workers that were alive at the last check.
        """
        state = self._rounds.read_log(busy=bool(len(self._running) or self._prefetch))
        if state.position < self._news.position:  # the server went back to an older state
            self._rounds.refuse_gone()
        self._news.ready, self._news.position = state.has_ready_jobs, state.position
        self._news.due = self._news.due or state.clock_set_back
        if not state.me.active:  # the lock files were removed, and another worker took over
            raise WorkerEnded(state.me.id, state.me.state)
        self._stopping.requested(state.me.stop)
        self._running.cancel(state.cancelled, now_us)
        self._rounds.releases += self._prefetch.release_cancelled(state.cancelled)
        self._arm(state.earliest_us)
        self._peers.look(state.active, again=everyone)
        if self._server is not None:
            self._server.heart.leases_us = self._peers.leases_us()

    def _arm(self, earliest_us: int | None) -> None:
        """Set the alarm.

        earliest_us: UTC, by the store's clock. If it has passed, this round or the next requeues
        the job.
        """
        now_us = self._queue.store.wall_us()
        if earliest_us is not None and earliest_us <= now_us:
            self._news.due = True
            earliest_us = None
        self._alarm.arm(earliest_us, now_us)

    def _apply_urgency(self, now_us: int) -> None:
        """If the urgency has risen, release prefetched claims and end attempts accordingly."""
        if (urgency := self._stopping.risen()) is None:
            return
        self._rounds.releases += self._prefetch.release("the worker is stopping")
        if len(self._running):
            self._console.stopping(urgency, len(self._running))
        self._running.stop(urgency, now_us)

    def _collect_results(self, now_us: int) -> None:
        """Turn attempts whose outcome is final into results, which are recorded together."""
        decided = self._running.decided(now_us)
        if decided and not self._rounds.results:
            self._pace.first_result(now_us)
        for attempt in decided:
            self._rounds.results.append(Result(attempt.job, attempt.outcome(), attempt))

    def _facts(self) -> Facts:
        committing = self._committer.busy
        events_us = (
            self._running.next_us(),
            self._alarm.next_retry(),
            None if committing or self._is_away() else self._peers.next_us(),
        )
        return Facts(
            now_us=self._now_us(),
            committing=committing,
            unrecorded=self._rounds.has_unrecorded,
            due=self._news.due,
            ready=self._news.ready,
            free=bool(self._running.free()),
            stopping=bool(self._stopping.urgency),
            prefetched_until_us=self._prefetch.until_us if self._prefetch else None,
            scarce=self._prefetch.scarce,
            next_event_us=min((at_us for at_us in events_us if at_us is not None), default=None),
        )

    def _write_if_due(self) -> int:
        """Run one transaction if it is due. Return the monotonic time (µs) to wait for at most."""
        step = self._pace.next_step(self._facts())
        if isinstance(step, WriteNow) and not self._is_away():
            self._write(step)
            step = self._pace.next_step(self._facts())
        if not self._is_away():
            if self._news.postponed and not self._committer.busy:
                return self._now_us()  # nothing was claimed: read the log now
            return step.until_us if isinstance(step, WaitUntil) else self._now_us()
        # What is due now cannot be done: only timeouts and other events of jobs are waited for.
        again_us = self._now_us() + TRY_AGAIN_US
        event_us = None if self._are_frozen() else self._facts().next_event_us
        return again_us if event_us is None else min(again_us, event_us)

    def _write(self, step: WriteNow) -> None:
        """Prepare a round, and commit it: in the other thread if jobs run or are claimed ahead.

        On a server, all of it runs there: each answer takes longer than a short job.
        """
        if self._server is not None:
            self._server.fence.hold()  # no attempt that the fence has killed is recorded as failed
        now_us = self._now_us()
        if step.release_expired:
            self._rounds.releases += self._prefetch.release_expired(now_us)
        slots = self._slots_to_claim(step, now_us)
        self._rounds.take_up()
        due, self._news.due = self._news.due, False
        if self._server is not None:
            self._committer.start(partial(self._rounds.record, slots, due))
            return
        try:
            prepared = self._rounds.prepare(slots, due)
        except REFUSED as error:
            self._refused(error)
            return
        if len(self._running) or self._prefetch:
            self._committer.start(prepared.committed)  # in the other thread, as the loop has work
        else:
            self._finish(prepared.committed)

    def _slots_to_claim(self, step: WriteNow, now_us: int) -> list[int]:
        """Return a slot for each job to claim; several may be prefetched for one."""
        if not step.claim:
            return []
        return self._prefetch.slots(self._running.free(), self._rounds.results, now_us)

    def _take_in_commit(self) -> None:
        """Handle the end of the commit in the committer's thread."""
        self._finish(self._committer.outcome)

    def _finish(self, record: Callable[[], Round]) -> None:
        """Commit and handle a round. If that fails, its items are recorded later."""
        try:
            recorded = record()
        except (*REFUSED, StreamConflict) as error:
            self._refused(error)
        else:
            self._take_in_round(recorded)

    def _refused(self, error: Refused | StreamConflict) -> None:
        """Keep the items of a round that has failed."""
        self._rounds.undo()
        self._news.ready = self._news.due = True
        if not isinstance(error, StreamConflict):  # else the next round reads the other events
            self._back_off(error)

    def _back_off(self, error: Refused) -> None:
        """Try again later, as the store refuses writes now; after a third stop signal, raise."""
        if self._stopping.urgency == Urgency.AT_ONCE:
            raise error
        if isinstance(error, Away):
            self._note_away(error)
        elif isinstance(error, Full):
            self._pace.disk_full(self._now_us())
            self._console.say(f"error: {error}; results are held until there is room")
        elif self._pace.locked(self._now_us(), error.holder):
            self._console.say(f"waiting for {error.holder}, which has locked the queue")

    def _take_in_round(self, committed: Round) -> None:
        """Handle a round that is in the log: only now its claims may be launched."""
        self._pace.written()
        self._news.ready, self._news.due = (
            committed.more_ready,
            self._news.due or committed.more_due,
        )
        if committed.before == self._news.position:  # else there are events of others to read
            self._news.position = committed.position
        self._arm(committed.earliest_us)
        now_us = self._now_us()
        for retry in committed.retries:
            self._alarm.add_retry(retry.job_id, retry.due_at_us, now_us + retry.delay_us)
        self._prefetch.add(committed.claimed, now_us)
        if self._stopping.urgency:  # requested while the claims were being committed
            self._rounds.releases += self._prefetch.release("the worker is stopping")
        self._launch_assigned()
        for result, job in committed.ended:
            if result.attempt:
                result.attempt.recorded()
            self._console.ended(result, job)

    def _launch_assigned(self) -> None:
        """Launch claimed jobs while there are free slots, and jobs are not frozen."""
        if not self._prefetch:
            return
        # A freeze waits for the launch in progress.
        with nullcontext() if self._server is None else self._server.fence.passage():
            while self._prefetch and (free := self._running.free()) and not self._are_frozen():
                self._launch(self._prefetch.next(free))

    def _launch(self, assignment: Assignment) -> None:
        """Start the job. If the machine lacks resources, release all claims and pause."""
        slot, job, context = assignment
        mark = mark_of(self._queue.store.key, self._duty.token, job.id, job.attempt)
        now_us = self._now_us()
        started = self._launcher.start(order(job, context, mark, self._queue.store.label))
        match started:
            case Child():
                limit_bytes = job.spec.output_limit_bytes
                files = self._queue.store.output_files(job.id, job.attempt, limit_bytes)
                output = OutputWriter(files)
                self._running.add(Attempt(job, slot, mark, started, output, self._launcher, now_us))
                self._console.started(job)
                self._pace.launched()
            case NotStarted():
                outcome = Outcome(ended=started.reason, error=started.error)
                self._rounds.results.append(Result(job, outcome, None))
            case Exhausted():
                self._console.say(f"{started.error}; trying again")
                self._pace.launch_refused(now_us)
                self._prefetch.put_back(assignment)
                self._rounds.releases += self._prefetch.release(started.error)

    def _end_if_due(self) -> Reason | None:
        """Record the end of the worker if there is a reason, and return it."""
        if self._is_away():
            return None
        try:
            if (reason := self._reason_to_end()) is not None:
                self._queue.send(EndWorker(worker_id=self._duty.worker_id, reason=reason))
        except Away as error:
            self._note_away(error)
            return None
        return reason

    def _reason_to_end(self) -> Reason | None:
        """Return why the worker ends now; None if it continues."""
        if len(self._running) or not self._running.all_decided or self._prefetch:
            return None
        if self._rounds.has_unrecorded or self._committer.busy:
            return None
        if self._stopping.urgency:
            return "drained" if self._stopping.urgency == Urgency.DRAIN else "stopped"
        if self._duty.until_empty and self._rounds.all_jobs_ended():
            return "until-empty"
        return "until-idle" if self._duty.until_idle and self._rounds.no_job_can_run() else None

    def _leave_without_keeper(self) -> Reason:
        """End all jobs and the worker: the keeper is dead, and could not end them after a crash."""
        self._stopping.requested("now")  # so that no job begins whose claim is being committed
        if self._committer.busy:
            self._take_in_commit()
        self._collect_results(self._now_us() + EXIT_SEEN_US)
        self._running.kill(self._now_us())
        while self._running.have_processes(self._now_us()):
            self._selector.wait(TRY_AGAIN_US)
            self._running.reap(self._now_us())
        self._rounds.releases += self._prefetch.release("the worker is stopping")
        self._rounds.abandon()
        self._console.say("error: the keeper of this worker was killed; its jobs were requeued")
        return "keeper-lost"

    def _now_us(self) -> int:
        return self._queue.clock.monotonic_us()
