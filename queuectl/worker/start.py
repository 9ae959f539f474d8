"""From `worker start` to a running worker: the keeper first, then all that is heavy."""

import os
import resource
import socket
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .keeper import keep

if TYPE_CHECKING:
    from eventstore.events.worker import WorkerStarted
    from eventstore.sqlite.lock import SqliteLock

    from ..queue import Queue
    from .stopping import Signals
    from .supervisor import Duty, Reason
    from .telling import Telling

NO, INTERRUPTED = 1, 130
JOBS_DIED = 9
"""The supervisor's exit code for it: with 1 the keeper would take it for an accident."""
DESCRIPTORS, DESCRIPTORS_A_JOB = 64, 3
"""For the worker itself; for a job's pipe, the folder of its output and a file there."""


class Options(NamedTuple):
    """What `worker start` was asked for."""

    slots: int = 1
    queues: tuple[str, ...] = ()
    """The queues to serve; empty is all."""
    until_empty: bool = False
    until_idle: bool = False
    name: str | None = None
    verbose: bool = False
    """Log each job, also without a terminal."""
    quiet: bool = False
    """Log only what goes wrong."""
    fail_on_dead: bool = False
    """Exit 1 if a job died meanwhile."""


def run_worker(path: str | None, options: Options) -> int:
    """Run a worker until it is told to stop, and return its exit code.

    The calling process becomes its keeper. This returns in the supervisor too, so a caller does
    nothing after it but leave with the code.
    """
    keeper = os.getpid()
    code = keep(partial(_supervise, path, options))
    return NO if code == JOBS_DIED and os.getpid() == keeper else code


def _supervise(path: str | None, options: Options, line: socket.socket) -> int:
    import secrets

    from ..job_keys import name_of_queue
    from ..queue import Queue
    from .stopping import Signals
    from .supervisor import Duty

    for name in options.queues:
        name_of_queue("--queue", name)
    signals = Signals()
    _allow_descriptors(DESCRIPTORS + DESCRIPTORS_A_JOB * options.slots)
    worker_id = secrets.token_hex(3)
    with Queue(path, actor=worker_id) as queue:
        if options.until_empty:
            _refuse_endless(queue, options.queues)
        _keep_from_jobs()
        os.chdir("/")  # no folder is held in use, and no relative path means anything from here on
        duty = Duty(
            worker_id=worker_id,
            token=secrets.token_hex(8),
            slots=options.slots,
            queues=options.queues,
            until_empty=options.until_empty,
            until_idle=options.until_idle,
        )
        return _work(queue, duty, options, signals, line)


def _allow_descriptors(wanted: int) -> None:
    """Raise the soft limit where it is too low, as far as it may be; jobs inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _work(
    queue: "Queue", duty: "Duty", options: Options, signals: "Signals", line: socket.socket
) -> int:
    from random import random

    from ..requests import StartWorker
    from .committer import Committer
    from .launcher import OsLauncher
    from .supervisor import Supervisor
    from .takeover import tidy_locks
    from .telling import Telling
    from .timers import Timers
    from .waiting import Waiting

    tidy_locks(queue)
    own, keepers = _take_locks(queue, duty.worker_id)
    socket.send_fds(line, [b"lock"], [keepers.fileno()])
    keepers.release()  # from here on the keeper alone holds it
    telling = Telling(
        jobs=options.verbose or (os.isatty(2) and not options.quiet),
        quiet=options.quiet,
        db=queue.location.path if queue.location.named else None,
    )
    with queue.store.doorbell() as bell, Timers() as alarm:
        committer = Committer()
        waiting = Waiting(signals, bell, alarm, committer, line)
        launcher = OsLauncher()
        supervisor = Supervisor(
            duty, queue, bell, alarm, waiting, committer, launcher, random, telling
        )
        queue.send(StartWorker(worker_id=duty.worker_id, started=_started(duty, options.name)))
        telling.talk(_greeting(duty, queue.location.path))
        _say_unused(queue, options.queues, telling)
        reason = supervisor.run()
    if reason in ("until-empty", "until-idle"):
        telling.closing(reason)
    for lock in (own, keepers):
        lock.remove()
    code = _code(reason, interrupted=supervisor.interrupted)
    return JOBS_DIED if code == 0 and options.fail_on_dead and telling.dead else code


def _refuse_endless(queue: "Queue", queues: tuple[str, ...]) -> None:
    """Raise NeverEmpty if the job that runs this command is in a queue that is to become empty."""
    from ..errors import NeverEmpty
    from ..job_waiting import running_here

    with queue.read() as tx:
        job = running_here(tx, queue.location)
    if job is not None and (not queues or job.spec.queue in queues):
        raise NeverEmpty(job.id, job.spec.queue)


def _say_unused(queue: "Queue", queues: tuple[str, ...], telling: "Telling") -> None:
    """A mistyped queue never has work."""
    from projections.read_models import counts

    from ..hints import unused_queue

    with queue.read() as tx:
        known = counts.by_queue(tx)
    for name in queues:
        if name not in known:
            telling.say(unused_queue(name, known))


def _keep_from_jobs() -> None:
    """What this process was itself started with is no job's business."""
    for number in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        if int(number) > 2:
            try:
                os.set_inheritable(int(number), False)
            except OSError:
                pass  # the one that listed them


def _take_locks(queue: "Queue", worker_id: str) -> list["SqliteLock"]:
    """The supervisor's lock and the keeper's."""
    from .takeover import lock_names

    locks = [queue.store.lock(name) for name in lock_names(worker_id)]
    held = [lock.acquire() for lock in locks]
    assert all(held), f"the locks of {worker_id} are held although the id was just drawn"
    return locks


def _started(duty: "Duty", name: str | None) -> "WorkerStarted":
    from eventstore.events.worker import WorkerStarted

    from .. import __version__
    from . import sweep
    from .takeover import boot_id

    pid, keeper_pid = os.getpid(), os.getppid()
    return WorkerStarted(
        name=name or duty.worker_id,
        host=os.uname().nodename,
        boot_id=boot_id(),
        pid=pid,
        pid_started=sweep.started(pid),
        keeper_pid=keeper_pid,
        keeper_pid_started=sweep.started(keeper_pid),
        slots=duty.slots,
        token=duty.token,
        queues=duty.queues,
        version=__version__,
    )


def _greeting(duty: "Duty", path: str) -> str:
    from ..visible import visible

    slots = "1 job" if duty.slots == 1 else f"{duty.slots} jobs"
    queues = f" from {visible(', '.join(duty.queues))}" if duty.queues else ""
    return (
        f"worker {duty.worker_id} runs {slots} at a time{queues}, queue {visible(path)}\n"
        "Ctrl-C once finishes what runs, twice stops it"
    )


def _code(reason: "Reason", *, interrupted: bool) -> int:
    if reason == "keeper-lost":
        return 1
    return INTERRUPTED if reason == "stopped" and interrupted else 0
