"""All that can happen to a worker (one life of a supervisor process)."""

from typing import Literal

from .fact import Fact


class WorkerStarted(Fact, frozen=True, kw_only=True):
    """A supervisor opened the queue and holds its lock."""

    name: str
    host: str
    boot_id: str
    """The kernel's; a pid means nothing beyond it. Empty where the system has none."""
    pid: int
    pid_started: int
    """Start time of `pid` in clock ticks since boot: a reused pid has another."""
    keeper_pid: int
    keeper_pid_started: int
    slots: int
    token: str
    """Random; with job and attempt it makes the mark that finds an attempt's processes."""
    queues: tuple[str, ...] = ()
    """The queues it serves; empty is all."""
    version: str = ""
    """Of the program."""


class StopRequested(Fact, frozen=True, kw_only=True):
    """Someone asked it to stop: `drain` finishes what runs, `now` ends it."""

    how: Literal["drain", "now"]
    reason: str | None = None


class WorkerStopped(Fact, frozen=True, kw_only=True):
    """It ended in order; nothing of it runs any more."""

    reason: Literal["drained", "stopped", "until-empty", "until-idle", "keeper-lost", "error"]


class WorkerLost(Fact, frozen=True, kw_only=True):
    """It died; another found its locks free and nothing of it running."""

    found_by: str
    """The worker that took over its claims."""


WorkerEvent = WorkerStarted | StopRequested | WorkerStopped | WorkerLost
