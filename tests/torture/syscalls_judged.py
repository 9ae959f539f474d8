"""What must hold after a command whose call failed, whatever it was."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from eventstore.errors import StoreError
from eventstore.events.job import Failed, Succeeded
from eventstore.sqlite.verify import verify
from projections.folds.job import FINAL
from projections.read_models import jobs
from projections.rebuild import compare
from queuectl import exit_codes
from queuectl.api import Queue
from queuectl.errors import QueueError
from tests.ctl import Ctl
from tests.torture.syscalls_scenes import Scene

KILLED = -9
"""strace ends as what it traced."""
GAVE_UP = 1
"""A keeper whose supervisors were all killed at the same call."""
DOCUMENTED = (exit_codes.DONE, exit_codes.DATABASE, exit_codes.UNKNOWN, exit_codes.ANSWER_LOST)
"""What a command may answer to a failing disk."""


class After(NamedTuple):
    """What a command left."""

    home: Path
    code: int
    out: str
    err: str
    killed: bool


def judged(scene: Scene, after: After) -> Iterator[str]:
    """What is wrong, a line each."""
    yield from _answer(scene, after)
    try:
        with Queue(after.home / "queue.db") as queue:
            yield from _whole(queue)
            if scene.words[0] == "enqueue":
                yield from _enqueued(queue, scene, after)
            queue.enqueue("true", cwd="/")
            yield from _whole(queue)
    except (StoreError, QueueError) as error:
        yield f"the next command is refused: {error!r}"
    if scene.name == "work":
        yield from _worked(after)


def _answer(scene: Scene, after: After) -> Iterator[str]:
    told = f"exit {after.code}, {after.out!r}, {after.err!r}"
    errors = [line for line in after.err.splitlines() if not line.startswith(("made a", "job "))]
    if "Traceback" in after.err:
        yield f"a traceback: {told}"
    elif after.killed and not scene.keeper:
        if after.code != KILLED:
            yield f"it was not killed: {told}"
    elif after.code not in DOCUMENTED and not (after.killed and after.code == GAVE_UP):
        yield f"an exit that is not documented: {told}"
    elif after.code > 0 and not (errors and errors[-1].startswith("error: ")):
        yield f"no line that says why: {told}"


def _whole(queue: Queue) -> Iterator[str]:
    with queue.store.read() as tx:
        verdict = verify(tx)
    if not verdict.sound:
        yield f"the log: {verdict.broken} {verdict.missing_triggers}"
    if different := compare(queue.store):
        yield f"the read models: {different[0]}"


def _enqueued(queue: Queue, scene: Scene, after: After) -> Iterator[str]:
    """Told of means there; a refusal means not there; only `outcome unknown` may be either."""
    with queue.store.read() as tx:
        there = {job.id for job in jobs.page(tx, jobs.Filter(), limit=100)}
    told = f"exit {after.code}, {after.out!r}, {after.err!r}; there are {sorted(there)}"
    printed = re.findall(r"^\d+$", after.out, re.MULTILINE)
    if not set(printed) <= there or (after.code == exit_codes.DONE and not printed):
        yield f"acknowledged and lost: {told}"
    if after.code == exit_codes.DATABASE and len(there) > scene.jobs:
        yield f"refused and done: {told}"
    if after.code == exit_codes.ANSWER_LOST and len(there) == scene.jobs:
        yield f"said to be recorded and lost: {told}"


def _worked(after: After) -> Iterator[str]:
    """Nothing is stuck, no result is double, and nothing ran that was not claimed."""
    drained = Ctl(after.home)("worker", "start", "--until-empty", code=None)
    if drained.code:
        yield f"the next worker: {drained}"
        return
    ran = Counter((after.home / "ran").read_text().split())
    with Queue(after.home / "queue.db") as queue:
        yield from _whole(queue)
        with queue.store.read() as tx:
            found = jobs.page(tx, jobs.Filter(), limit=100)
        ends = Counter(
            (one.stream, one.event.attempt)
            for one in queue.events()
            if isinstance(one.event, Succeeded | Failed)
        )
    if stuck := [(job.id, job.state) for job in found if job.state not in FINAL]:
        yield f"stuck: {stuck}"
    if double := [attempt for attempt, n in ends.items() if n > 1]:
        yield f"two results: {double}"
    if over := [job.id for job in found if ran[job.id] > job.attempt]:
        yield f"ran more often than it was claimed: {over}, {dict(ran)}"
    if (
        after.code == exit_codes.DONE
        and not after.killed
        and (again := [j for j in ran if ran[j] > 1])
    ):
        yield f"ran twice though its worker went on: {again}; {after.err!r}"
