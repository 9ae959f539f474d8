"""The simulated parts of the world: clock, processes, selector; a worker around the real loop."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from signal import SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from eventstore.errors import Away, StoreError
from eventstore.lock import Lock
from eventstore.store import Ahead, Reader
from queuectl.api import Queue
from queuectl.core.requests import StartWorker
from queuectl.core.transaction import Session
from queuectl.errors import WorkerEnded
from queuectl.worker.attempt import Attempt
from queuectl.worker.console import Console
from queuectl.worker.launcher import Child, ChildExit
from queuectl.worker.lease import Overdue
from queuectl.worker.liveness import lock_names
from queuectl.worker.order import Exhausted, NotStarted, Order
from queuectl.worker.process_mark import Mark
from queuectl.worker.process_sweep import Unendable
from queuectl.worker.rounds import Round
from queuectl.worker.selector import Woken
from queuectl.worker.server import Server
from queuectl.worker.supervisor import Duty, Supervisor
from queuectl.worker.timers import Timers
from tests.given import worker_started
from tests.unsynced import unsynced

if TYPE_CHECKING:
    from tests.simulation.world import World

SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US


class Crash(BaseException):
    """The process dies here. The program must not catch it."""


class SimulatedClock:
    """A clock that only the world moves forward; the wall clock may step."""

    def __init__(self) -> None:
        self.now_us = 0
        self.stepped_us = 0

    def wall_us(self) -> int:
        return START_US + self.now_us + self.stepped_us

    def monotonic_us(self) -> int:
        return self.now_us


class Process:
    """A running job, as the kernel would see it."""

    def __init__(self, pid: int, order: Order, ends_at_us: int, code: int) -> None:
        self.pid, self.mark = pid, order.mark
        self.job_id, self.attempt = order.env["QUEUECTL_JOB"], int(order.env["QUEUECTL_ATTEMPT"])
        self.ends_at_us, self.exit_code = ends_at_us, code
        self.signal: int | None = None
        self.deaf = self.disowned = False
        """Whether it ignores TERM; whether its worker had lost its locks."""


class SimulatedLauncher:
    """A launcher that starts processes in the world's table."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.mine: dict[int, Process] = {}
        self.disowned = False
        """Whether its worker's locks were removed: then another worker may run the same jobs."""

    def disown(self) -> None:
        """Note that the locks of the worker were removed."""
        self.disowned = True
        for process in self.mine.values():
            process.disowned = True

    def start(self, order: Order) -> Child | NotStarted | Exhausted:
        world = self._world
        world.may_crash("before a launch")
        world.clock.now_us += 300  # a launch takes its time
        job_id = order.env["QUEUECTL_JOB"]
        others = [process for process in world.owned() if process.job_id == job_id]
        assert self.disowned or not others, f"two attempts of job {job_id} run at once"
        if world.chance(0.02):
            return NotStarted("not-found", "no such program")
        if world.chance(0.02):
            return Exhausted("the machine is out of processes")
        lasts_us = world.random.choice([0, 1_000, 50_000, 2 * SECOND_US, 90 * SECOND_US])
        code = world.random.choice([0, 0, 0, 1])
        process = Process(world.next_pid(), order, world.clock.now_us + lasts_us, code)
        process.deaf = world.chance(0.2)
        process.disowned = self.disowned
        world.processes[process.pid] = self.mine[process.pid] = process
        world.may_crash("after a launch")
        return Child(process.pid, None)

    def reap(self) -> list[ChildExit]:
        now_us = self._world.clock.now_us
        ended = [process for process in self.mine.values() if process.ends_at_us <= now_us]
        for process in ended:
            del self.mine[process.pid]
            self._world.processes.pop(process.pid, None)
        return [
            ChildExit(
                process.pid, None if process.signal else process.exit_code, process.signal, 7, None
            )
            for process in ended
        ]

    def send(self, marks: Collection[Mark], number: Signals) -> int:
        marked = [process for process in self.mine.values() if process.mark in marks]
        for process in marked:
            if number == SIGKILL or (number == SIGTERM and not process.deaf):
                process.ends_at_us = min(process.ends_at_us, self._world.clock.now_us)
                process.signal = int(number)
        return len(marked)

    def orphans(self, mark: Mark) -> list[int]:
        return []

    def kill(self, pids: list[int]) -> dict[int, str]:
        raise AssertionError("no simulated job leaves orphans")

    def unendable(self, mark: Mark) -> list[Unendable]:
        return []

    def keep(self, mark: Mark) -> bool:
        raise AssertionError("no simulated job leaves orphans")


class SimulatedAlarm(Timers):
    """The real list of scheduled retries; the alarm itself is read from the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.at_us: int | None = None

    def arm(self, due_at_us: int | None, now_us: int) -> None:
        self.at_us = due_at_us

    def take(self) -> None:
        self.at_us = None


class SimulatedBell:
    """A doorbell that the world rings after every commit."""

    def __init__(self) -> None:
        self.rung = False

    def drain(self) -> None:
        self.rung = False

    def check(self) -> None:
        """Do nothing: no file is removed here."""


class SimulatedSelector:
    """A selector that lets the other workers run until there is an event."""

    def __init__(self, world: "World", worker: "SimulatedWorker") -> None:
        self._world, self._worker = world, worker
        self._watched: dict[str, bool] = {}

    def report_output(self, attempt: Attempt) -> None: ...
    def stop_reporting_output(self, attempt: Attempt) -> None: ...

    def watch(self, worker_id: str, *processes: tuple[int, int]) -> None:
        self._watched[worker_id] = True

    def unwatch(self, worker_id: str) -> None:
        self._watched.pop(worker_id, None)

    def wait(self, timeout_us: int) -> Woken:
        world, worker = self._world, self._worker
        worker.wake_at_us = world.clock.now_us + max(0, timeout_us)
        world.rest()
        died = [name for name in self._watched if name in world.dead]
        woken = Woken(
            passed_on=worker.signals,
            children=any(
                process.ends_at_us <= world.clock.now_us
                for process in worker.launcher.mine.values()
            ),
            rung=worker.bell.rung,
            alarm=worker.alarm_due(),
            committed=worker.committed(),
            heart=worker.heart.came_back(),
            keeper_gone=worker.keeper_dead,
            died=died,
        )
        worker.signals = 0
        self._watched = {name: True for name in self._watched if name not in died}
        return woken


class CrashingQueue(Queue):
    """A queue whose process may die before a commit and after it."""

    world: "World"

    @contextmanager
    def read(self, ahead: Ahead = tuple) -> Iterator[Reader]:
        self.world.refuse_if_away()
        with super().read(ahead) as tx:
            yield tx

    @contextmanager
    def prepare(
        self, actor: str | None = None, patience_s: float = 75.0, ahead: Ahead = tuple
    ) -> Iterator[Session]:
        self.world.refuse_if_away()
        self.world.let_a_client_write()
        with super().prepare(actor, patience_s, ahead) as session:
            yield session
        session.tx.commit = partial(self._commit, session.tx.commit)

    def _commit(self, commit: Callable[[], None]) -> None:
        self.world.may_crash("before a commit")
        try:
            self.world.may_go_away()
        except Away:
            self._lose_connection()
            raise
        commit()
        self.world.committed()
        self.world.may_crash("after a commit")

    def _lose_connection(self) -> None:
        """Roll back the transaction that was to be committed, as a server does."""
        store: Any = self.store
        store._roll_back()
        store._turn.release()


class SimulatedCommitter:
    """A committer that commits at once, but reports the outcome only after some time."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.done_at_us: int | None = None
        self._round: Round | None = None
        self._error: StoreError | WorkerEnded | None = None

    @property
    def busy(self) -> bool:
        return self.done_at_us is not None

    def start(self, record: Callable[[], Round]) -> None:
        assert not self.busy
        try:
            self._round = record()
        except (StoreError, WorkerEnded) as error:
            self._error = error
        self.done_at_us = self._world.clock.now_us + self._world.random.choice(
            [0, 0, 1_500, 40_000]
        )

    def outcome(self) -> Round:
        assert self.busy
        self.done_at_us = None
        error, self._error = self._error, None
        if error is not None:
            raise error
        assert self._round
        return self._round


class SimulatedHeart:
    """A heart whose beats are answered each second, unless the server is away."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.leases_us: dict[str, int] = {}
        self._was_away = False

    @property
    def answers(self) -> int:
        """Number of beats that were answered."""
        return self._world.answered_us() // SECOND_US

    def came_back(self) -> bool:
        """Return whether the server was away, and has come back."""
        was_away, self._was_away = self._was_away, self._world.is_away()
        return was_away and not self._was_away

    def take_overdue(self) -> list[Overdue]:
        return []

    def hurry(self) -> None:
        """Beat as before, each second."""


class SimulatedFence:
    """A fence that is always open: outages are shorter than half a lease."""

    are_frozen = False
    frozen_us = 0

    def hold(self) -> None:
        """Let the loop go on."""

    def is_open(self) -> bool:
        return True

    @contextmanager
    def passage(self) -> Iterator[None]:
        yield


class SimulatedWorker:
    """A worker: keeper and supervisor."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.keeper_dead = False
        self.signals = 0
        self.wake_at_us = self.paused_until_us = 0
        self.done = False
        self.worker_id = f"w{number}"
        self.bell = SimulatedBell()
        self.alarm = SimulatedAlarm()
        self.committer = SimulatedCommitter(world)
        self.heart = SimulatedHeart(world)
        self._held: list[Lock] = []
        self.launcher = SimulatedLauncher(world)
        self.body = greenlet(self._live)

    def alarm_due(self) -> bool:
        at_us = self.alarm.at_us
        return at_us is not None and at_us <= self.world.clock.wall_us()

    def committed(self) -> bool:
        at_us = self.committer.done_at_us
        return at_us is not None and at_us <= self.world.clock.now_us

    def ready(self) -> bool:
        """Return whether an event has come that wakes it."""
        now_us = self.world.clock.now_us
        if now_us < self.paused_until_us:
            return False
        ended = any(process.ends_at_us <= now_us for process in self.launcher.mine.values())
        return (
            ended
            or self._called()
            or now_us >= self.wake_at_us
            or self.alarm_due()
            or self.committed()
        )

    def _called(self) -> bool:
        """Return whether an event has come that wakes it, even if only after its pause."""
        return self.bell.rung or self.signals > 0 or self.keeper_dead

    def next_us(self) -> int:
        """Return when it will wake up, if no other event comes."""
        if self._called():
            return max(self.paused_until_us, self.world.clock.now_us)
        times = [self.wake_at_us, *(process.ends_at_us for process in self.launcher.mine.values())]
        if self.committer.done_at_us is not None:
            times.append(self.committer.done_at_us)
        if self.alarm.at_us is not None:
            times.append(self.alarm.at_us - START_US - self.world.clock.stepped_us)
        return max(min(times), self.paused_until_us, self.world.clock.now_us)

    def unlock(self) -> None:
        """Release its locks: it has ended, or a clean-up program removed them."""
        for lock in self._held:
            lock.release()

    def _live(self) -> None:
        while self.world.is_away():  # a new supervisor waits for the server
            self.wake_at_us = self.world.clock.now_us + SECOND_US
            self.world.rest()
        queue = CrashingQueue.__new__(CrashingQueue)
        queue.world = self.world
        try:
            Queue.__init__(queue, self.world.path, actor=self.worker_id, clock=self.world.clock)
            unsynced(queue)
            self._held = [queue.store.lock(name) for name in lock_names(self.worker_id)]
            assert all(lock.acquire() for lock in self._held)
            self._supervise(queue)
            for lock in self._held:
                lock.remove()
        except (Crash, WorkerEnded, Away):
            self.world.crashes += 1
            both = self.keeper_dead or self.world.chance(0.2)
            if not both:  # the keeper kills the processes, and only then releases its lock
                self.world.forget(self.launcher)
        finally:
            self.done = True
            self.world.dead.add(self.worker_id)
            self.unlock()
            queue.close()
            self.alarm.close()

    def _supervise(self, queue: Queue) -> None:
        duty = Duty(worker_id=self.worker_id, token="t", slots=2, queues=(), until_empty=False)
        queue.send(StartWorker(worker_id=self.worker_id, started=worker_started(self.worker_id)))
        selector: Any = SimulatedSelector(self.world, self)
        presence: Any = self.bell
        committer: Any = self.committer
        console = Console(jobs=False, write=lambda text: None)
        heart: Any = self.heart
        fence: Any = SimulatedFence()
        Supervisor(
            duty,
            queue,
            presence,
            self.alarm,
            selector,
            committer,
            self.launcher,
            self.world.random.random,
            console,
            Server(heart, fence) if self.world.on_server else None,
        ).run()
