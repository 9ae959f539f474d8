"""The process of a supervisor: open the queue, start, run the loop, exit with a code.

The order matters: signals are handled first; threads start before jobs run; the locks, the doorbell
and the lease exist before the start is recorded, so that no other worker takes this one for dead.

If the server of a queue is away, a worker that a person starts fails at once; one that its keeper
starts again waits for it.
"""

import os
import resource
import secrets
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from random import random
from signal import SIGCONT
from typing import NamedTuple

from eventstore.errors import Away, Gone
from eventstore.events.job import Dead
from eventstore.events.recorded import Recorded
from eventstore.events.worker import WorkerStarted
from eventstore.location import exists, locate
from eventstore.store import Reader, RingsFor
from projections.read_models import counts, settings, workers
from projections.streams import named

from .. import __version__, exit_codes
from ..api import Queue
from ..core.job_waiting import running_here
from ..core.requests import RequestStop, StartWorker
from ..core.settings import lease_us
from ..errors import NeverEmpty, WorkerEnded
from ..escape import visible
from ..input.job_values import name_of_queue
from ..text.hints import unused_queue
from . import process_sweep
from .committer import Committer
from .console import Console
from .keeper import LEASE_ENDED
from .launcher import OsLauncher
from .liveness import boot_id
from .order import OUT_OF_PROCESSES
from .presence import Presence
from .sd_notify import Notifier
from .selector import Selector
from .server import Server, server_of, tidy_leases
from .start import JOBS_DIED, Options
from .stopping import Signals
from .supervisor import Duty, Reason, Supervisor
from .takeover import tidy_locks
from .timers import Timers

QUEUE = "queue "
"""Begins the name that is followed by the id of the queue; the others are those of workers."""
START_THREAD_AGAIN_S = 1.0
"""Pause between two attempts to start a thread."""
CONNECT_AGAIN_S = 1.0
"""Pause between two attempts to connect to a server that is away."""
DESCRIPTORS, DESCRIPTORS_PER_JOB = 64, 3
"""Descriptors of the worker itself, and per job: its pipe, its output folder and a file in it."""


class Keeper(NamedTuple):
    """The data that a supervisor receives from its keeper."""

    line: socket.socket
    before: tuple[str, ...]
    """The ids of earlier workers of the same keeper, all of them dead."""
    queue_ids: tuple[str, ...]
    """The id of the queue that they served, if it is on a server."""
    kept_limit: int
    """The soft RLIMIT_RTTIME of processes that the keeper does not end."""


class Parts(NamedTuple):
    """The parts of a running supervisor that have threads, or descriptors to wait for."""

    signals: Signals
    keeper: Keeper
    committer: Committer
    alarm: Timers
    server: Server | None
    """None for a queue in a file."""
    console: Console
    notifier: Notifier | None
    """None if systemd has not started the worker."""


def supervise(
    path: str | None,
    options: Options,
    notifier: Notifier | None,
    line: socket.socket,
    before: tuple[str, ...],
    kept_limit: int,
) -> int:
    """Run a supervisor and return its exit code.

    notifier: None if systemd has not started the worker. before: what earlier supervisors have
    named: the queue, and their ids. The other parameters are those of Keeper.
    """
    keeper = _keeper(line, before, kept_limit)
    if notifier is not None and keeper.before:
        notifier.pause()  # no job is running until the next start is recorded
    for name in options.queues:
        name_of_queue("--queue", name)
    signals = Signals()
    _allow_descriptors(DESCRIPTORS + DESCRIPTORS_PER_JOB * options.slots)
    worker_id = secrets.token_hex(3)
    location = locate(path)
    missing = not exists(location)
    queue = _opened(path, worker_id, signals, keeper)
    if queue is None:
        return 0
    with queue:
        _refuse_other(queue, keeper)
        if missing:  # with --quiet too: the path may be mistyped
            _say(f"created queue {location.name}")
        if options.until_empty:
            _refuse_endless(queue, options.queues)
        _hide_descriptors_from_jobs()
        os.chdir("/")  # keeps no folder in use; relative paths must not be used after this
        duty = Duty(
            worker_id=worker_id,
            token=secrets.token_hex(8),
            slots=options.slots,
            queues=options.queues,
            until_empty=options.until_empty,
            until_idle=options.until_idle,
            lease_us=_lease_us(queue),
        )
        try:
            return _work(queue, duty, options, signals, keeper, notifier)
        except Away:
            if keeper.before:
                return LEASE_ENDED  # the next supervisor waits for the server
            raise


def _opened(path: str | None, worker_id: str, signals: Signals, keeper: Keeper) -> Queue | None:
    """Open the queue. After a restart by the keeper, wait for a server that is away.

    Return None if a stop signal arrives before that.
    """
    has_said = False
    while True:
        try:
            return Queue(path, actor=worker_id, on_wait=_say)
        except Away as error:
            if not keeper.before:
                raise
            if not has_said:
                _say(f"{error}; waiting for it")
            has_said = True
        if select.select([signals.fileno(), keeper.line.fileno()], [], [], CONNECT_AGAIN_S)[0]:
            return None


def _keeper(line: socket.socket, names: tuple[str, ...], kept_limit: int) -> Keeper:
    workers_before = tuple(name for name in names if not name.startswith(QUEUE))
    queue_ids = tuple(name.removeprefix(QUEUE) for name in names if name.startswith(QUEUE))
    return Keeper(line, workers_before, queue_ids, kept_limit)


def _refuse_other(queue: Queue, keeper: Keeper) -> None:
    """Raise Gone if a queue on a server was removed and created again since an earlier supervisor.

    The first one reports to the keeper which queue that is.
    """
    if not queue.store.distant:
        return
    queue_id = queue.store.queue_id
    if not keeper.queue_ids:
        keeper.line.sendall(f"name {QUEUE}{queue_id}\n".encode())
    elif keeper.queue_ids != (queue_id,):
        raise Gone(queue.location.name)


def _lease_us(queue: Queue) -> int | None:
    """Return the lease that is in force; None for a file, or if there is to be none."""
    if not queue.store.distant:
        return None
    with queue.read() as tx:
        return lease_us(settings.in_force(tx))


def _say(text: str) -> None:
    """Print a line to stderr, before the console is created and after its last use."""
    print(visible(text), file=sys.stderr, flush=True)


def _allow_descriptors(count: int) -> None:
    """Raise the soft limit of open files to `count`, or to the hard limit. Jobs inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _work(
    queue: Queue,
    duty: Duty,
    options: Options,
    signals: Signals,
    keeper: Keeper,
    notifier: Notifier | None,
) -> int:
    console = Console(
        jobs=options.verbose or (os.isatty(2) and not options.quiet),
        quiet=options.quiet,
        terminal=os.isatty(2),
        db=queue.location.name if queue.location.named else None,
    )
    server = None
    if queue.store.distant:
        server = server_of(
            queue,
            duty.worker_id,
            duty.lease_us,
            keeper.line,
            keeper.kept_limit,
            console.say,
            notifier,
        )
    with Timers() as alarm:
        parts = Parts(signals, keeper, Committer(), alarm, server, console, notifier)
        if not _threads_started(parts):
            return 0
        return _serve(queue, duty, options, parts)


def _threads_started(parts: Parts) -> bool:
    """Start all threads now, so that none has to be started while jobs run.

    Retry while the machine refuses a thread; return False if a stop signal arrives before.
    """
    while True:
        try:
            parts.committer.start_thread()
            parts.alarm.start()
            if parts.server is not None:
                parts.server.fence.start()
                parts.server.heart.start()
        except RuntimeError:
            parts.console.say(f"{OUT_OF_PROCESSES}; trying again")
        else:
            return True
        stops = [parts.signals.fileno(), parts.keeper.line.fileno()]
        if select.select(stops, [], [], START_THREAD_AGAIN_S)[0]:
            return False


def _serve(queue: Queue, duty: Duty, options: Options, parts: Parts) -> int:
    """Record the start, run the loop to its end, and return the exit code."""
    console, before = parts.console, parts.keeper.before
    tidy_locks(queue)
    # Such a worker ends because of what other workers record, which needs no other attention.
    rings_for: RingsFor = "everything" if duty.until_empty or duty.until_idle else "work"
    with closing(Presence(queue, duty.worker_id, parts.keeper.line, rings_for)) as presence:
        supervisor = _supervisor(queue, duty, presence, parts)
        _begin(queue, duty, options, parts)
        reason = _run(supervisor, parts.server)
        if parts.notifier is not None:
            parts.notifier.ended()
    presence.leave()
    if reason != "keeper-lost":
        console.closing(reason)
    if process_sweep.stopped(os.getppid()):  # by Ctrl-Z or a job; it must notice our end
        os.kill(os.getppid(), SIGCONT)
    code = _code(reason, interrupted=supervisor.interrupted)
    if code == 0 and options.fail_on_dead and (console.dead or _jobs_died_before(queue, before)):
        return JOBS_DIED
    return code


def _supervisor(queue: Queue, duty: Duty, presence: Presence, parts: Parts) -> Supervisor:
    heart = None if parts.server is None else parts.server.heart
    selector = Selector(
        parts.signals, presence, parts.alarm, parts.committer, parts.keeper.line, heart
    )
    return Supervisor(
        duty,
        queue,
        presence,
        parts.alarm,
        selector,
        parts.committer,
        OsLauncher(parts.keeper.kept_limit),
        random,
        parts.console,
        parts.server,
        parts.notifier,
    )


def _begin(queue: Queue, duty: Duty, options: Options, parts: Parts) -> None:
    """Begin the lease, record the start, and say so."""
    unused = _unused(queue, options.queues)
    if parts.server is not None:
        parts.server.heart.begin()
    _start(
        queue,
        StartWorker(worker_id=duty.worker_id, started=_started(duty, options.name)),
        parts.keeper.before,
    )
    if parts.notifier is not None:
        parts.notifier.ready(duty.lease_us)
    parts.console.greet(duty.worker_id, duty.slots, duty.queues, queue.location.name)
    for words in unused:
        parts.console.say(words)


def _run(supervisor: Supervisor, server: Server | None) -> Reason:
    """Run the loop to its end. A worker that was taken over exits at once, with all its jobs."""
    try:
        reason = supervisor.run()
    except WorkerEnded as ended:
        if server is None:
            raise
        server.fence.trip(f"the jobs of worker {ended.worker_id} were taken over")
    if server is not None:
        server.fence.disarm()
        server.heart.end()
    return reason


def _start(queue: Queue, start: StartWorker, before: tuple[str, ...]) -> None:
    """Record the start, and any stop that was recorded for an earlier worker of this keeper."""
    with queue.write() as session:
        session.send(start)
        tidy_leases(queue, session)
        earlier = [workers.get(session.tx, worker_id) for worker_id in before]
        for worker in earlier:
            if worker is not None and worker.stop is not None:
                reason = f"carried over from worker {worker.id}"
                session.send(RequestStop(worker_id=start.worker_id, how=worker.stop, reason=reason))


def _jobs_died_before(queue: Queue, before: tuple[str, ...]) -> bool:
    """Return whether an earlier worker of the same keeper recorded that a job is dead."""
    with queue.read() as tx:
        starts = [start for worker in before for start in islice(_events_of(tx, worker), 1)]
        return bool(starts) and any(
            isinstance(recorded.event, Dead) and recorded.actor in before
            for recorded in tx.events(after=starts[0].position)
        )


def _events_of(tx: Reader, worker_id: str) -> Iterator[Recorded]:
    return tx.events(stream=named("worker", worker_id))


def _refuse_endless(queue: Queue, queues: tuple[str, ...]) -> None:
    """Raise NeverEmpty if this command is run by a job of a queue that is to become empty."""
    with queue.read() as tx:
        job = running_here(tx, queue.location)
    if job is not None and (not queues or job.spec.queue in queues):
        raise NeverEmpty(job.id, job.spec.queue)


def _unused(queue: Queue, queues: tuple[str, ...]) -> list[str]:
    """Return a warning about each queue that has no jobs: a name may be mistyped."""
    with queue.read() as tx:
        known = counts.by_queue(tx)
    return [unused_queue(name, known) for name in queues if name not in known]


def _hide_descriptors_from_jobs() -> None:
    """Make inherited descriptors non-inheritable, so that jobs do not inherit them."""
    for number in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        if int(number) > 2:
            try:
                os.set_inheritable(int(number), False)
            except OSError:
                pass  # the descriptor that listed the others is closed already


def _started(duty: Duty, name: str | None) -> WorkerStarted:
    pid, keeper_pid = os.getpid(), os.getppid()
    return WorkerStarted(
        name=name or duty.worker_id,
        host=os.uname().nodename,
        boot_id=boot_id(),
        pid=pid,
        pid_started=process_sweep.started(pid),
        keeper_pid=keeper_pid,
        keeper_pid_started=process_sweep.started(keeper_pid),
        slots=duty.slots,
        token=duty.token,
        queues=duty.queues,
        version=__version__,
        lease_us=duty.lease_us,
    )


def _code(reason: Reason, *, interrupted: bool) -> int:
    """Return the exit code for the reason why the worker has ended."""
    if reason == "keeper-lost":
        return exit_codes.NO
    return exit_codes.INTERRUPTED if reason == "stopped" and interrupted else 0
