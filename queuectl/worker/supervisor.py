"""The round of a worker: take in what happened, record and claim at once, start, wait.

Everything is driven by events; an idle worker costs nothing. Clock, launcher and randomness are
passed in, and nothing is launched before its claim's commit has returned.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from eventstore.errors import Busy, Full, StreamConflict
from eventstore.sqlite.log import Committing, at_once

from ..api import Queue
from ..core.requests import EndWorker, Outcome
from ..errors import WorkerEnded
from ..outputs.writer import Output
from .attempt import EXIT_SEEN_US, Attempt, order
from .committer import Committer
from .console import Telling
from .launcher import Child, Exhausted, Launcher, NotStarted
from .prefetch import MOMENT_US, Ahead
from .presence import Presence
from .process_mark import mark_of
from .rounds import Claimed, Recording, Result, Round
from .selector import Waiting, Woken
from .slots import Slots
from .stopping import Stopping, Urgency
from .takeover import Peers
from .timers import Timers

LOOK_AGAIN_US = 30_000_000
"""How long to rely on being woken: clocks step, machines sleep, and a writer may die unheard."""
TRY_AGAIN_US = 1_000_000
"""Between two tries at what the machine has no room for."""

TRY_LOCK_AGAIN_US = 100_000
LOCKED_TOO_LONG = 4
"""Tries, of half a second each, after which to say who has held the write lock all the time."""

Reason = Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost"]


class Duty(NamedTuple):
    """Who the worker is, and what it is to do."""

    worker_id: str
    token: str
    slots: int
    queues: tuple[str, ...]
    """The queues it serves; empty is all."""
    until_empty: bool
    until_idle: bool = False
    """Leave once no job can run now, whatever falls due later or runs elsewhere."""


class Supervisor:
    """One life of a worker, from its start in the log to its end there."""

    def __init__(
        self,
        duty: Duty,
        queue: Queue,
        presence: Presence,
        alarm: Timers,
        waiting: Waiting,
        committer: Committer,
        launcher: Launcher,
        draw: Callable[[], float],
        telling: Telling,
    ) -> None:
        self._duty, self._queue, self._presence, self._alarm = duty, queue, presence, alarm
        self._waiting, self._committer = waiting, committer
        self._launcher, self._telling = launcher, telling
        self._stopping = Stopping()
        self._recording = Recording(queue, duty.worker_id, duty.queues, draw)
        self._peers = Peers(queue, duty.worker_id, waiting, telling)
        self._slots: Slots[Attempt] = Slots(duty.slots)
        self._ahead = Ahead(duty.slots)
        self._running: dict[int, Attempt] = {}
        """By pid of the main process."""
        self._ending: list[Attempt] = []
        """Whose main process has ended."""
        self._gone: list[Attempt] = []
        """Of whom nothing lives; their slots are free already. A stop signal may yet explain how
        the last of them ended."""
        self._outputs = partial(queue.store.beside.folder, "outputs")
        self._outputs()  # raises where it cannot be made
        self._position = 0
        """Of the last event seen: what rings beyond it is news."""
        self._rung = self._work = self._due = False
        """Whether the log may hold news, jobs that are ready to claim, others that fell due."""
        self._died: list[str] = []
        """Workers whose claims are to be taken over."""
        self._under_way: Round | None = None
        """Whose commit goes on beside the loop."""
        self._look_at_us = self._held_until_us = self._no_claims_until_us = self._record_by_us = 0
        self._pause_us = TRY_AGAIN_US
        """How long to claim nothing if the next launch is refused."""
        self._hastened = Urgency.NONE
        self._locked_by, self._refused = "", 0
        """Who held the write lock when a transaction was refused, and how often in a row."""

    def run(self) -> Reason:
        """Work until it is time to leave, and record that. Raises what the store raises."""
        woken = self._waiting.wait(0)  # a stop that came to a supervisor before this one
        woken.rung = True
        while True:
            if woken.keeper_gone:
                return self._abandon()
            self._take_in(woken)
            self._begin()
            self._record()
            if (reason := self._over()) is not None:
                self._queue.send(EndWorker(worker_id=self._duty.worker_id, reason=reason))
                return reason
            woken = self._waiting.wait(self._timeout_us())

    @property
    def interrupted(self) -> bool:
        """Whether signals, more than one, asked for the end; `worker stop --now` is no accident."""
        return self._stopping.signals > 1

    def _take_in(self, woken: Woken) -> None:
        if woken.committed:
            self._committed(self._now_us())
        now_us = self._now_us()  # later than the begin of whatever may have ended by now
        if woken.hangup or woken.stops or woken.passed_on:
            self._heed(woken)
        self._hear_of(woken, now_us)
        self._hasten(now_us)
        for attempt in woken.printed:
            if not attempt.read(now_us):
                self._waiting.unhear(attempt)
        if woken.children:
            self._reap(now_us)
        self._settle(now_us)
        if self._gone:
            self._begin()  # first of all, for a slot stands empty
            self._conclude(now_us)
        for attempt in self._slots.due(now_us):
            attempt.reminded(now_us)
            self._telling.unendable(attempt.job.id, attempt.unendable(now_us))

    def _heed(self, woken: Woken) -> None:
        """Signals have asked for the end."""
        if woken.hangup:
            self._stopping.asked("drain")
        self._stopping.signalled(woken.stops, woken.passed_on)
        now_us = self._now_us()
        for attempt in (*self._slots, *self._gone):
            attempt.worker_signalled(now_us)
        self._recording.stop = "now" if self._stopping.urgency > Urgency.DRAIN else "drain"

    def _reap(self, now_us: int) -> None:
        for exit_ in self._launcher.reap():
            attempt = self._running.pop(exit_.pid)
            attempt.exited(exit_, now_us)
            self._ending.append(attempt)

    def _settle(self, now_us: int) -> None:
        """Of whom nothing lives any more has ended, and its slot is free."""
        for attempt in [attempt for attempt in self._ending if attempt.gone(now_us)]:
            self._ending.remove(attempt)
            self._waiting.unhear(attempt)  # `outcome` reads the rest; its slot may be another's
            self._slots.leave(attempt.slot)
            self._gone.append(attempt)

    def _conclude(self, now_us: int) -> None:
        """What has ended is a result now, to be recorded with others."""
        decided = [attempt for attempt in self._gone if attempt.decided_at_us <= now_us]
        if decided and not self._recording.results:
            self._record_by_us = now_us + MOMENT_US
        for attempt in decided:
            self._gone.remove(attempt)
            self._recording.results.append(Result(attempt.job, attempt.outcome(), attempt))

    def _hear_of(self, woken: Woken, now_us: int) -> None:
        """Note what others did, and look at it once the store is free."""
        if woken.alarm:
            self._alarm.take()
            self._due = True
        self._recording.overdue += self._alarm.overdue(now_us)
        if woken.rung:
            self._presence.drain()
            self._rung = True
        self._died += woken.died
        if not self._committer.busy:
            self._hear(now_us)

    def _hear(self, now_us: int) -> None:
        """Look into the log where others have written, and now and then unasked."""
        rung, self._rung = self._rung, False
        if now_us >= self._look_at_us:
            self._look_at_us = now_us + LOOK_AGAIN_US
            self._recording.refuse_gone()
            self._presence.check()
            self._look(now_us, again=True)
        elif rung and self._recording.position() != self._position:
            self._look(now_us, again=False)
        while self._died:
            self._peers.died(self._died.pop())
            self._work = True

    def _look(self, now_us: int, *, again: bool) -> None:
        """See what others ask of us, what there is to do, and who else works."""
        seen = self._recording.look(busy=bool(len(self._slots) or self._ahead))
        self._work, self._position = seen.work, seen.position
        self._due = self._due or seen.clock_set_back
        if not seen.me.active:  # our locks' files were gone, and we were taken for dead
            raise WorkerEnded(seen.me.id, seen.me.state)
        self._stopping.asked(seen.me.stop)
        for attempt in self._slots:
            if (attempt.job.id, attempt.job.attempt) in seen.cancelled:
                attempt.end("cancelled", now_us)
        self._recording.releases += self._ahead.give_back(
            "cancelled", lambda claimed: (claimed.job.id, claimed.job.attempt) in seen.cancelled
        )
        self._arm(seen.earliest_us)
        self._peers.look(seen.active, again=again)

    def _arm(self, earliest_us: int | None) -> None:
        """Set the alarm; what is due already is seen to in this round, or the next."""
        if earliest_us is not None and earliest_us <= self._queue.clock.wall_us():
            self._due = True
            earliest_us = None
        self._alarm.arm(earliest_us)

    def _hasten(self, now_us: int) -> None:
        """Do what the urgency asks for, once it has risen."""
        urgency = self._stopping.urgency
        if urgency == self._hastened:
            return
        self._hastened = urgency
        self._recording.releases += self._ahead.give_back("the worker is stopping")
        if len(self._slots):
            self._telling.stopping(urgency, len(self._slots))
        for attempt in self._slots:
            attempt.worker_stops(now_us)
            if urgency == Urgency.NOW:
                attempt.end("worker-stopped", now_us)
            elif urgency == Urgency.AT_ONCE:
                attempt.kill("worker-stopped", now_us)

    def _record(self) -> None:
        """One transaction for all there is to write; none where there is nothing."""
        now_us = self._now_us()
        if self._committer.busy or now_us < self._held_until_us:
            return
        if self._ahead and now_us < self._round_us():
            return
        seats = self._seats(now_us)
        self._held_until_us = 0
        if not (self._recording.waits or self._due or (seats and self._work)):
            return
        try:
            done = self._recording.round(seats, self._due, self._how_to_commit())
        except (Full, Busy) as error:
            self._hold(error, now_us)
            return
        self._work, self._due = len(done.claimed) == len(seats), done.more_due
        if self._committer.busy:
            self._under_way = done
        else:
            self._recorded(done, now_us)

    def _how_to_commit(self) -> Committing:
        """Beside the loop where it has something else to do."""
        return self._committer.beside if len(self._slots) or self._ahead else at_once

    def _committed(self, now_us: int) -> None:
        """The round under way is in the log, or waits to be written again."""
        done, self._under_way = self._under_way, None
        assert done
        try:
            self._committer.outcome()
        except (Full, Busy, StreamConflict) as error:
            self._recording.undo()
            self._work = self._due = True
            if not isinstance(error, StreamConflict):  # else the next round reads what came between
                self._hold(error, now_us)
        else:
            self._recorded(done, now_us)

    def _hold(self, error: Full | Busy, now_us: int) -> None:
        """The store has no room at the moment: keep what waits, and try again."""
        if self._stopping.urgency == Urgency.AT_ONCE:
            raise error
        if isinstance(error, Busy):
            # Many short transactions of others are a crowd, and nobody is to blame.
            self._refused = self._refused + 1 if error.holder == self._locked_by else 1
            self._locked_by = error.holder
            if self._refused == LOCKED_TOO_LONG:
                self._telling.say(f"waiting for {error.holder}, which has locked the queue")
            self._held_until_us = now_us + TRY_LOCK_AGAIN_US
        else:
            self._telling.say(f"error: {error}; results are held until there is room")
            self._held_until_us = now_us + TRY_AGAIN_US

    def _round_us(self) -> int:
        """When to record what waits, while the slots have work in hand."""
        if not self._recording.waits:
            return self._ahead.until_us
        return 0 if self._ahead.scarce else min(self._ahead.until_us, self._record_by_us)

    def _seats(self, now_us: int) -> list[int]:
        """The slots to claim for; none after the store had no room: results come first."""
        if self._ahead and now_us >= self._ahead.until_us:  # others may have a slot for them
            self._recording.releases += self._ahead.too_many(now_us)
            return []
        if self._stopping.urgency or self._held_until_us or now_us < self._no_claims_until_us:
            return []
        return self._ahead.seats(self._slots.free(), self._recording.results, now_us)

    def _recorded(self, done: Round, now_us: int) -> None:
        """It is in the log; only now what was claimed is launched."""
        self._refused = 0
        if done.before == self._position:  # else others wrote before it, and are yet to be heard
            self._position = done.position
        self._arm(done.earliest_us)
        for retry in done.retries:
            self._alarm.put_off(retry.job_id, retry.due_at_us, now_us + retry.delay_us)
        self._ahead.add(done.claimed, self._now_us())
        if self._stopping.urgency:  # asked for while the claims were being committed
            self._recording.releases += self._ahead.give_back("the worker is stopping")
        self._begin()
        for result, job in done.ended:
            if result.attempt:
                result.attempt.recorded()
            self._telling.ended(result, job)

    def _begin(self) -> None:
        """Launch what was claimed, as far as there are slots."""
        while self._ahead and (free := self._slots.free()):
            self._launch(self._ahead.next(free))

    def _launch(self, claimed: Claimed) -> None:
        slot, job, context = claimed
        identity = self._queue.store.identity
        mark = mark_of(identity, self._duty.token, job.id, job.attempt)
        now_us = self._now_us()
        started = self._launcher.start(order(job, context, mark, self._queue.store.path))
        match started:
            case Child():
                output = Output(self._outputs, job.id, job.attempt, job.spec.output_limit_bytes)
                attempt = Attempt(job, slot, mark, started, output, self._launcher, now_us)
                self._slots.sit(slot, attempt)
                attempt.begin(partial(self._slots.remind, slot))
                self._running[started.pid] = attempt
                self._waiting.hear(attempt)
                self._telling.started(job)
                self._pause_us = TRY_AGAIN_US
            case NotStarted():
                outcome = Outcome(ended=started.reason, error=started.error)
                self._recording.results.append(Result(job, outcome, None))
            case Exhausted():
                self._telling.say(f"{started.error}; trying again")
                self._no_claims_until_us = now_us + self._pause_us
                self._pause_us = min(2 * self._pause_us, LOOK_AGAIN_US)  # each try is in the log
                self._ahead.put_back(claimed)
                self._recording.releases += self._ahead.give_back(started.error)

    def _over(self) -> Reason | None:
        """Why it is time to leave; None while something runs, or may come."""
        if len(self._slots) or self._gone or self._ahead or self._recording.waits:
            return None
        if self._committer.busy:
            return None
        if self._stopping.urgency:
            return "drained" if self._stopping.urgency == Urgency.DRAIN else "stopped"
        if self._duty.until_empty and self._recording.nothing_left():
            return "until-empty"
        return "until-idle" if self._duty.until_idle and self._recording.nothing_to_run() else None

    def _abandon(self) -> Reason:
        """The keeper is dead: nobody would end our jobs if we died too. End them, and leave."""
        self._stopping.asked("now")  # so that what is being claimed is not begun
        if self._committer.busy:
            self._committed(self._now_us())
        self._conclude(self._now_us() + EXIT_SEEN_US)
        lost = [attempt.job for attempt in self._slots]
        for attempt in self._slots:
            attempt.kill("worker-lost", self._now_us())
        while [attempt for attempt in self._slots if not attempt.gone(self._now_us())]:
            self._waiting.wait(TRY_AGAIN_US)
            self._reap(self._now_us())
        self._recording.releases += self._ahead.give_back("the worker is stopping")
        self._recording.abandon(lost)
        self._telling.say("error: the keeper of this worker was killed; its jobs were requeued")
        return "keeper-lost"

    def _timeout_us(self) -> int:
        """How long to wait at the most."""
        now_us = self._now_us()
        times = [self._slots.next_reminder(), self._alarm.next_put_off()]
        if self._gone:
            times += [attempt.decided_at_us for attempt in self._gone]
        if self._committer.busy:  # it will wake us, and until then there is nothing to record
            times.append(now_us + LOOK_AGAIN_US)
            return _earliest(times) - now_us
        times.append(self._look_at_us)
        if self._held_until_us:
            times.append(self._held_until_us)
        elif self._ahead:
            times.append(self._round_us())
        elif self._recording.waits or self._due:
            return 0
        elif self._work and self._slots.free() and not self._stopping.urgency:
            times.append(self._no_claims_until_us)
        return _earliest(times) - now_us

    def _now_us(self) -> int:
        return self._queue.clock.monotonic_us()


def _earliest(times: list[int | None]) -> int:
    return min(at_us for at_us in times if at_us is not None)
