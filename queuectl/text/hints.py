"""Hints: command lines to type next, with the `--db` option of the queue in use."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.events.job import Enqueued
    from projections.folds.worker import Worker

WORKERS_NAMED = 5
"""The maximum number of workers that a hint lists."""

QUEUES_NAMED = 5
"""The maximum number of queues that a hint lists."""

_LINE = r"(?<![\w'\"./-])queuectl (?!to )(?=[a-z])"


def with_db_option(hint: str, db: str | None) -> str:
    """Return the hint with `--db` added to each `queuectl …` in it.

    db: the path given with --db; None returns the hint unchanged.
    """
    if db is None:
        return hint
    return re.sub(_LINE, lambda _: f"queuectl --db {shlex.quote(db)} ", hint)


def missing_program(spec: "Enqueued", path: str | None) -> str:
    """Return why the program of a job may not have been found. path: the PATH searched."""
    program, *rest = spec.argv or ("",)
    line = f"queuectl enqueue -- {shlex.quote(f'{program} {shlex.join(rest)}'.rstrip())}"
    if re.match(r"[A-Za-z_]\w*=", program):
        return (
            f"{program} was taken as a program, since several words run without a shell;"
            f" use --env {shlex.quote(program)}, or quote the whole line: {line}"
        )
    if " " in program:
        return (
            f"{shlex.quote(program)} was taken as the name of one program, since several words run"
            f" without a shell; write each word by itself, or quote the whole line: {line}"
        )
    return f"searched in PATH={path or '(the PATH of the worker)'}; set another with --env PATH=…"


def unused_queue(name: str, known: Iterable[str]) -> str:
    """Return a line about a queue that never had a job. known: the queues that had one."""
    from difflib import get_close_matches

    names = sorted(known)
    if near := get_close_matches(name, names, n=1):
        rest = f"did you mean {near[0]}?"
    else:
        rest = f"queues with jobs: {', '.join(names)}" if names else "no queue has had a job yet"
    return f"No job was ever enqueued to queue {name}; {rest}"


def dead_workers(workers: Sequence["Worker"]) -> str:
    """Return a line about workers that died and whose jobs no other worker has taken over yet."""
    names = ", ".join(worker.id for worker in workers[:WORKERS_NAMED])
    more = f" and {rest:,} more" if (rest := len(workers) - WORKERS_NAMED) > 0 else ""
    are, whose = ("is", "its") if len(workers) == 1 else ("are", "their")
    return f"{names}{more} {are} dead; the next worker requeues {whose} jobs: queuectl worker start"


def no_worker(workers: Sequence["Worker"], queues: Iterable[str]) -> str | None:
    """Return a hint if no worker serves one of `queues`; None if each queue has a worker.

    workers: the workers that are alive.
    """
    if not workers:
        return "No worker is running. Start one: queuectl worker start"
    if any(not worker.started.queues for worker in workers):
        return None
    served = {queue for worker in workers for queue in worker.started.queues}
    missing = sorted(set(queues) - served)
    if not missing:
        return None
    which = "queue" if len(missing) == 1 else "queues"
    named = ", ".join(missing[:QUEUES_NAMED])
    if len(missing) > QUEUES_NAMED:
        more = len(missing) - QUEUES_NAMED
        return (
            f"No running worker serves {which} {named} and {more:,} more."
            " Start one for all queues: queuectl worker start"
        )
    options = " ".join(f"--queue {queue}" for queue in missing)
    return f"No running worker serves {which} {named}. Start one: queuectl worker start {options}"
