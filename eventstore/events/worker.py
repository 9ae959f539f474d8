"""All events of a worker. A worker in the log is one run of a supervisor process."""

from typing import Literal

from .fact import Fact


class WorkerStarted(Fact, frozen=True, kw_only=True):
    """A supervisor opened the queue and holds its lock."""

    name: str
    host: str
    boot_id: str
    """The kernel's boot id: pids are unique only within one boot. Empty if the system has none."""
    pid: int
    pid_started: int
    """Start time of `pid` in clock ticks since boot: a reused pid has another."""
    keeper_pid: int
    keeper_pid_started: int
    slots: int
    token: str
    """Random. Token, job and attempt make the mark by which an attempt's processes are found."""
    queues: tuple[str, ...] = ()
    """The queues it serves; empty means all."""
    version: str = ""
    """Version of the program."""
    lease_us: int | None = None
    """On a server: others may take it over after so long without a beat. None: never by time."""


class StopRequested(Fact, frozen=True, kw_only=True):
    """A user asked the worker to stop: `drain` lets running jobs finish, `now` ends them."""

    how: Literal["drain", "now"]
    reason: str | None = None


class WorkerStopped(Fact, frozen=True, kw_only=True):
    """The worker ended in an orderly way; none of its processes is running."""

    reason: Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost", "error"]


class WorkerLost(Fact, frozen=True, kw_only=True):
    """The worker died, and its claims were taken over."""

    found_by: str
    """The worker that took over its claims, or the user."""
    how: Literal["locks", "lease", "person"] = "locks"
    """What showed its death. `locks`: its locks were free and none of its processes was running.
    `lease`: it did not beat for its whole lease, and had ended its jobs before. `person`: a user
    said so."""


WorkerEvent = WorkerStarted | StopRequested | WorkerStopped | WorkerLost
