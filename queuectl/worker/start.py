"""From `worker start` to a running worker: load the program, then become the keeper."""

import gc
import os
import socket
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import NamedTuple

from eventstore.location import load_store

from .. import exit_codes
from ..text.hints import with_db_option
from .keeper import keep
from .sd_notify import Notifier, notifier_from

JOBS_DIED = 10
"""The supervisor's exit code if jobs became dead. After exit code 1 the keeper would restart it."""

LOADED_LATE = (
    "apscheduler.executors.debug",
    "apscheduler.jobstores.memory",
    "apscheduler.schedulers.background",
    "apscheduler.triggers.date",
    "concurrent.futures.thread",
    "difflib",
    "json",
    "projections.rebuild",
    "shlex",
    "traceback",
)
"""Modules that other commands import only when they need them."""


class Options(NamedTuple):
    """The options of `worker start`."""

    slots: int = 1
    queues: tuple[str, ...] = ()
    """The queues to serve; empty means all."""
    until_empty: bool = False
    until_idle: bool = False
    name: str | None = None
    verbose: bool = False
    """Report each job, even without a terminal."""
    quiet: bool = False
    """Report only problems."""
    fail_on_dead: bool = False
    """Exit 1 if a job died while this worker was running."""


def run_worker(path: str | None, options: Options) -> int:
    """Run a worker until it is stopped, and return its exit code.

    The calling process becomes its keeper. This function returns in the supervisor process too, so
    the caller must do nothing afterwards except exit with the code.
    """
    supervise = partial(_load(path), path, options, notifier_from(os.environ))
    keeper = os.getpid()
    start = with_db_option("queuectl worker start", path)
    code = keep(supervise, start)
    return exit_codes.NO if code == JOBS_DIED and os.getpid() == keeper else code


Supervise = Callable[
    [str | None, Options, Notifier | None, socket.socket, tuple[str, ...], int], int
]


def _load(path: str | None) -> Supervise:
    """Import all modules that a worker may need, even after a restart by its keeper.

    The program may be upgraded or removed while the worker runs. Memory used before the fork is
    shared by keeper and supervisors; `freeze` keeps the garbage collector from copying it.
    """
    for name in LOADED_LATE:
        import_module(name)
    load_store(path)
    from .setup import supervise

    gc.freeze()
    return supervise
