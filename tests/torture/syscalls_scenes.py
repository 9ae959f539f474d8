"""What the program does while its calls fail: enqueue, make a queue, work, rebuild."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from queuectl.api import Queue
from queuectl.core.requests import Claim, Finish, Outcome


class Scene(NamedTuple):
    """A command line, and the queue that it finds."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[[Path], None]
    """Makes the queue at a path in an empty folder."""
    jobs: int
    """How many it holds then."""
    paths: tuple[str, ...] = ()
    """In that folder: calls that concern these alone are counted; none is all calls there are."""
    keeper: bool = False
    """Whether what is killed has a keeper, which tries again."""


def _nothing(path: Path) -> None:
    """There is no queue yet."""


def _used(path: Path) -> None:
    """A queue with a completed job and a waiting one."""
    with Queue(path, actor="anna@box") as queue:
        for command in ("echo done", "echo waits"):
            queue.enqueue(command, cwd="/", max_retries=0)
        with queue.write() as session:
            session.send(Claim(job_id="1", worker="w", slot=1, at_us=session.at_us))
            done = Outcome(ended="exit", exit_code=0)
            at_us = session.at_us
            session.send(Finish(job_id="1", attempt=1, outcome=done, jitter=0, at_us=at_us))


def _work(path: Path) -> None:
    """Jobs whose runs can be counted: one good, one that fails, one that prints much."""
    with Queue(path, actor="anna@box") as queue:
        for command in ("true", "false", "head -c 100000 /dev/zero"):
            queue.enqueue(f"echo $QUEUECTL_JOB >> {RAN}; {command}", cwd="/", max_retries=0)


RAN = '"$(dirname "$QUEUECTL_DB")/ran"'
"""Where each attempt leaves a line."""

_BESIDE = tuple(f"queue.db.d{name}" for name in ("", "/locks", "/bells", "/outputs"))

# Several processes, each with imports and pipes of its own, so that counts of all calls would mean
# something else in each. A new file has a name drawn by chance, so there all calls are counted.
_WORKERS = ("", "queue.db", "queue.db-wal", "queue.db-shm", *_BESIDE, "queue.db.d/outputs/3.1")

ENQUEUE = (
    Scene("enqueue", ("enqueue", "--", "true"), _used, 2),
    Scene("create", ("enqueue", "--", "true"), _nothing, 0),
)
REPLAY = (Scene("replay", ("replay",), _used, 2),)
WORK = (
    Scene("work", ("worker", "start", "--until-empty", "--count", "2"), _work, 3, _WORKERS, True),
)

SCENES: tuple[tuple[Scene, ...], ...] = (ENQUEUE, REPLAY, WORK)
"""In the order in which they are tried; those that stand together come mixed."""
