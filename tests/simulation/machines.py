"""Machines that share a queue on a server, in simulated time: their leases, and nothing else.

Each machine has a clock of its own rate and a link to the server that may be cut. The server may be
away, and may lose its last beats in a crash. A worker is a keeper and a supervisor, each of which
may be paused, and runs one attempt. `Lease` and `Watch` are the real ones; the seed determines all
else. Real time is in microseconds; only the world knows it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from queuectl.worker.lease import Lease, Overdue, Watch, beat_us, slack_us

SECOND_US = 1_000_000
LEASE_US = 120 * SECOND_US
KILL_US = LEASE_US // 12
"""How long it may take until killed processes have ended."""
RATE = 0.25
"""The most by which the rate of a clock differs from real time."""
ANSWER_WITHIN_US = 5 * SECOND_US
"""A beat without an answer for so long is given up."""


class Rules(NamedTuple):
    """What a worker does; the controls break one of these rules."""

    deadline_from: str = "sent"
    new_watch: Callable[[], Watch] = Watch
    thaws_after: str = "beat"
    """A confirmed beat; or "link", when the link to the server is back."""


KEPT = Rules()


class CountsThroughGaps(Watch):
    """The control: it takes the nonces before a gap for those after it."""

    def saw(
        self,
        sent_us: int,
        answered_us: int,
        nonces: Mapping[str, int],
        leases_us: Mapping[str, int],
    ) -> list[Overdue]:
        self._answered_us = None
        return super().saw(sent_us, answered_us, nonces, leases_us)


class Machine:
    """A machine with its clock and its link, and the present worker."""

    def __init__(self, world: "Machines", number: int) -> None:
        self.world, self.number = world, number
        self.rate = 1 + world.random.choice([-RATE, 0, RATE])
        self.zero_us = world.random.randrange(10**9)
        self.cut = False
        self.lives = 0
        self.worker: Worker | None = None

    def clock(self, at_us: int) -> int:
        """Return what its clock shows at this real time."""
        return self.zero_us + round(at_us * self.rate)

    def real(self, clock_us: int) -> int:
        """Return the real time at which its clock shows this."""
        return round((clock_us - self.zero_us) / self.rate)


class Worker:
    """A keeper, its supervisor, and one attempt. Its threads act only while they are not paused."""

    def __init__(self, machine: Machine) -> None:
        machine.lives += 1
        self.machine, self.world = machine, machine.world
        self.id = f"m{machine.number}.{machine.lives}"
        self.lease, self.watch = Lease(LEASE_US), self.world.rules.new_watch()
        self.supervisor_paused_us = self.keeper_paused_us = 0
        """Until when each is paused, in real time."""
        self.frozen_us: int | None = None
        """Since when its attempt is frozen, in real time; None if it runs."""
        self.dying = self.dead = False
        self.lost_us: int | None = None
        """When it was taken over."""

    # The supervisor.

    def beat(self) -> None:
        """Send a beat, unless the supervisor is paused; then send it after the pause."""
        world, now_us = self.world, self.world.now_us
        if self.dead:
            return
        if now_us < self.supervisor_paused_us:
            world.at(self.supervisor_paused_us, self.beat)
            return
        pause_us = beat_us(LEASE_US)
        world.at(self.machine.real(self.machine.clock(now_us) + pause_us), self.beat)
        nonce = world.random.getrandbits(62)
        world.at(now_us + world.delay_us(), lambda: self._arrive(now_us, nonce))

    def _arrive(self, sent_us: int, nonce: int) -> None:
        """The beat arrives at the server, if there is a way."""
        world = self.world
        if self.machine.cut or world.server_away:
            return
        answer = None
        if self.id in world.rows:
            world.store(self.id, nonce)
            if self.frozen_us is not None:
                world.keep(self.id, nonce)
            answer = dict(world.rows)
        world.at(world.now_us + world.delay_us(), lambda: self._answer(sent_us, answer))

    def _answer(self, sent_us: int, answer: dict[str, int] | None) -> None:
        world, now_us = self.world, self.world.now_us
        if self.dead or self.machine.cut:
            return
        if now_us < self.supervisor_paused_us:
            world.at(self.supervisor_paused_us, lambda: self._answer(sent_us, answer))
            return
        if now_us - sent_us > ANSWER_WITHIN_US and world.rules.deadline_from == "sent":
            return
        if answer is None:
            self._kill()
            return
        clock = self.machine.clock
        self.confirmed(sent_us if world.rules.deadline_from == "sent" else now_us)
        answer.pop(self.id)
        leases = dict.fromkeys(answer, LEASE_US)
        for overdue in self.watch.saw(clock(sent_us), clock(now_us), answer, leases):
            world.at(now_us + world.delay_us(), partial(self._take_over, overdue))

    def confirmed(self, sent_us: int) -> None:
        """A beat that was sent at this real time is confirmed."""
        machine = self.machine
        deadline_us = machine.real(self.lease.confirmed(machine.clock(sent_us)))
        if deadline_us > self.world.now_us:
            self.frozen_us = None  # the attempt goes on
        self.world.at(deadline_us + 1, self._fence)
        self.world.at(deadline_us + 1 + round(slack_us(LEASE_US) / machine.rate), self._keep)

    def _take_over(self, overdue: Overdue) -> None:
        world = self.world
        if self.machine.cut or world.server_away or world.rows.get(overdue.worker) != overdue.nonce:
            return
        del world.rows[overdue.worker]
        world.taken_over(overdue.worker)

    # The two watchers of the deadline.

    def _fence(self) -> None:
        """Begin to freeze the attempt, which takes too long at times; kill it if it is too late."""
        if self._is_late(self.supervisor_paused_us, self._fence, slack_us(LEASE_US)):
            self._kill_running()
        elif self._is_late(self.supervisor_paused_us, lambda: None, 0):
            longest_us = self.world.random.choice([0, slack_us(LEASE_US) * 2])
            self.world.at(self.world.now_us + longest_us, self._froze)

    def _froze(self) -> None:
        """All is frozen, unless the supervisor was paused, or it took too long."""
        if self._is_late(self.supervisor_paused_us, self._froze, slack_us(LEASE_US)):
            self._kill_running()
        elif self._is_late(self.supervisor_paused_us, lambda: None, 0) and not self.dying:
            self.frozen_us = self.frozen_us or self.world.now_us

    def _keep(self) -> None:
        """Kill the attempt, unless the supervisor has reported that it is frozen."""
        if self._is_late(self.keeper_paused_us, self._keep, slack_us(LEASE_US)):
            self._kill_running()

    def _kill_running(self) -> None:
        if self.frozen_us is None:
            self._kill()

    def _is_late(self, paused_us: int, again: Callable[[], None], later_us: int) -> bool:
        now_us = self.world.now_us
        if self.dead:
            return False
        if now_us < paused_us:
            self.world.at(paused_us, again)
            return False
        return self.machine.clock(now_us) >= self.lease.deadline_us + later_us

    def ran_until_us(self) -> int:
        """Return until when its attempt has run."""
        return self.world.now_us if self.frozen_us is None else self.frozen_us

    def _kill(self) -> None:
        if not self.dying:
            self.dying = True
            self.world.at(self.world.now_us + self.world.random.randint(0, KILL_US), self.end)

    def end(self) -> None:
        """Its attempt and it itself have ended; the keeper starts another one."""
        if self.dead:
            return
        self.dead = True
        self.world.ended(self)


class Machines:
    """The server, the machines, and the faults."""

    def __init__(self, seed: int, rules: Rules = KEPT, machines: int = 3) -> None:
        self.random, self.rules = Random(seed), rules
        self.seed, self.now_us = seed, 0
        self.rows: dict[str, int] = {}
        self._history: list[tuple[int, dict[str, int]]] = []
        """The rows after each beat, for a server that lacks the newest ones."""
        self.server_away = False
        self.workers: dict[str, Worker] = {}
        self.takeovers = 0
        self.findings: list[str] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.machines = [Machine(self, number) for number in range(machines)]

    def at(self, at_us: int, act: Callable[[], None]) -> None:
        """Let `act` run at this real time."""
        self._count += 1
        heappush(self._events, (max(at_us, self.now_us), self._count, act))

    def store(self, worker: str, nonce: int) -> None:
        """Store a beat."""
        self.rows[worker] = nonce
        self._history.append((self.now_us, dict(self.rows)))

    def keep(self, worker: str, nonce: int) -> None:
        """Let no failover lose this beat: the commit of a beat waits for the standby, too.

        In this simulation only those after which an attempt goes on do so; others may be lost.
        """
        for _, rows in self._history:
            if worker in rows:
                rows[worker] = nonce

    def delay_us(self) -> int:
        """Return how long a message takes."""
        if self.random.random() < 0.03:
            return 20 * SECOND_US
        return self.random.choice([0, 1_000, 100_000, 3 * SECOND_US])

    def run(self, lasts_us: int = 20 * LEASE_US) -> "Machines":
        """Run the machines with faults for so long."""
        for machine in self.machines:
            self._begin(machine)
        for fault_us in self._times(lasts_us):
            self.at(fault_us, self._fault)
        while self._events and self._events[0][0] <= lasts_us:
            self.now_us, _, act = heappop(self._events)
            act()
        for worker in self.workers.values():
            if worker.lost_us is not None and not worker.dead:
                self._check_overlap(worker)
        return self

    def taken_over(self, worker_id: str) -> None:
        """The next attempt of the job begins now: the last one must have ended."""
        worker = self.workers[worker_id]
        self.takeovers += 1
        worker.lost_us = self.now_us

    def ended(self, worker: Worker) -> None:
        """Check its end, and let its keeper start another worker, which takes it over at once."""
        if worker.lost_us is not None:
            self._check_overlap(worker)
        self.at(self.now_us + self.delay_us(), lambda: self._begin(worker.machine))

    def _begin(self, machine: Machine) -> None:
        if machine.cut or self.server_away:
            self.at(self.now_us + SECOND_US, lambda: self._begin(machine))
            return
        if machine.worker is not None:
            self.rows.pop(machine.worker.id, None)
        machine.worker = worker = Worker(machine)
        self.workers[worker.id] = worker
        self.rows[worker.id] = 0
        worker.confirmed(self.now_us)
        worker.beat()

    def _check_overlap(self, worker: Worker) -> None:
        """Only while both watchers were paused may it have run on during the next attempt."""
        assert worker.lost_us is not None
        paused_us = min(worker.supervisor_paused_us, worker.keeper_paused_us)
        allowed_us = max(worker.lost_us, paused_us + KILL_US)
        if worker.ran_until_us() > allowed_us:
            overlap_s = (worker.ran_until_us() - worker.lost_us) / SECOND_US
            self.findings.append(f"seed {self.seed}: {worker.id} ran {overlap_s} s too long")

    # The faults.

    def _times(self, lasts_us: int) -> Iterator[int]:
        at_us = 0
        while at_us < lasts_us:
            at_us += self.random.randint(SECOND_US, LEASE_US // 2)
            yield at_us

    def _fault(self) -> None:
        machine = self.random.choice(self.machines)
        faults = (
            self._cut,
            self._split,
            self._pause_supervisor,
            self._pause_keeper,
            self._freeze,
            self._die,
            self._outage,
            self._fail_over,
        )
        self.random.choice(faults)(machine)

    def _lasts_us(self) -> int:
        return self.random.choice([SECOND_US, LEASE_US // 6, LEASE_US // 2, LEASE_US, 3 * LEASE_US])

    def _cut(self, machine: Machine) -> None:
        machine.cut = True

        def connect() -> None:
            machine.cut = False
            if self.rules.thaws_after == "link" and machine.worker is not None:
                machine.worker.frozen_us = None

        self.at(self.now_us + self._lasts_us(), connect)

    def _pause_supervisor(self, machine: Machine) -> None:
        worker = machine.worker
        assert worker is not None
        until_us = self.now_us + self._lasts_us()
        worker.supervisor_paused_us = max(worker.supervisor_paused_us, until_us)

    def _pause_keeper(self, machine: Machine) -> None:
        worker = machine.worker
        assert worker is not None
        worker.keeper_paused_us = max(worker.keeper_paused_us, self.now_us + self._lasts_us())

    def _freeze(self, machine: Machine) -> None:
        """Pause both; the attempt runs on, at worst."""
        self._pause_supervisor(machine)
        self._pause_keeper(machine)

    def _die(self, machine: Machine) -> None:
        """The machine loses its power, and starts again later."""
        assert machine.worker is not None
        machine.worker.dead = True
        self.at(self.now_us + self._lasts_us(), lambda: self._begin(machine))

    def _outage(self, machine: Machine) -> None:
        self.server_away = True

        def come_back() -> None:
            self.server_away = False

        self.at(self.now_us + self._lasts_us(), come_back)

    def _fail_over(self, machine: Machine) -> None:
        """A standby takes the place of the server; it lacks the newest beats."""
        self._fall_back(self.random.choice([SECOND_US, LEASE_US // 12, LEASE_US // 2, LEASE_US]))

    def _split(self, machine: Machine) -> None:
        """A machine and a standby are cut off together; then the standby takes over."""
        cut_us, lasts_us = self.now_us, self._lasts_us()
        machine.cut = True

        def connect() -> None:
            machine.cut = False
            self._fall_back(self.now_us - cut_us)

        self.at(cut_us + lasts_us, connect)

    def _fall_back(self, lag_us: int) -> None:
        """Lose the beats of the last `lag_us`. No event is lost: a commit waits for the standby."""
        older = [rows for at_us, rows in self._history if at_us <= self.now_us - lag_us]
        if older:
            common = older[-1].keys() & self.rows.keys()
            self.rows.update({worker: older[-1][worker] for worker in common})
