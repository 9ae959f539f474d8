"""The commands that run while system calls fail: enqueue, create a queue, work, rebuild."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from queuectl.api import Queue
from queuectl.core.requests import Claim, Finish, Outcome


class Scene(NamedTuple):
    """A command line, and the queue before it."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Path], None]
    """Creates the queue at a path in an empty folder."""
    jobs: int
    """How many jobs it then has."""
    paths: tuple[str, ...] = ()
    """Paths in that folder: only calls on these are counted; if empty, all calls are."""
    keeper: bool = False
    """Whether the killed process has a keeper, which restarts it."""


def _nothing(path: Path) -> None:
    """Create nothing: there is no queue yet."""


def _used(path: Path) -> None:
    """Create a queue with a completed job and a pending one."""
    with Queue(path, actor="anna@box") as queue:
        for command in ("echo done", "echo waits"):
            queue.enqueue(command, cwd="/", max_retries=0)
        with queue.write() as session:
            session.send(Claim(job_id="1", worker="w", slot=1, at_us=session.at_us))
            done = Outcome(ended="exit", exit_code=0)
            at_us = session.at_us
            session.send(Finish(job_id="1", attempt=1, outcome=done, jitter=0, at_us=at_us))


def _work(path: Path) -> None:
    """Create jobs that note each run: one succeeds, one fails, one prints much."""
    with Queue(path, actor="anna@box") as queue:
        for command in ("true", "false", "head -c 100000 /dev/zero"):
            queue.enqueue(f"echo $QUEUECTL_JOB >> {RAN}; {command}", cwd="/", max_retries=0)


RAN = '"$(dirname "$QUEUECTL_DB")/ran"'
"""The file to which each attempt writes a line."""

_SIDE_FOLDER = tuple(f"queue.db.d{name}" for name in ("", "/locks", "/bells", "/outputs"))

# A worker has several processes with their own imports and pipes, so the n-th of all calls differs
# between runs. A new queue file has a random name, so for `create` all calls are counted.
_WORKERS = ("", "queue.db", "queue.db-wal", "queue.db-shm", *_SIDE_FOLDER, "queue.db.d/outputs/3.1")

ENQUEUE = (
    Scene("enqueue", ("enqueue", "--", "true"), _used, 2),
    Scene("create", ("enqueue", "--", "true"), _nothing, 0),
)
REPLAY = (Scene("replay", ("replay",), _used, 2),)
WORK = (
    Scene("work", ("worker", "start", "--until-empty", "--count", "2"), _work, 3, _WORKERS, True),
)

SCENES: tuple[tuple[Scene, ...], ...] = (ENQUEUE, REPLAY, WORK)
"""The scenes in the order in which they are tried; those of one group are mixed."""
