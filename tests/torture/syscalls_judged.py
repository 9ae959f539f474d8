"""The checks after a command of which a system call failed."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from eventstore.errors import StoreError
from eventstore.events.job import Failed, Succeeded
from eventstore.verify import verify
from projections.folds.job import FINAL
from projections.read_models import jobs
from projections.rebuild import compare
from queuectl import exit_codes
from queuectl.api import Queue
from queuectl.errors import QueueError
from tests.ctl import Ctl
from tests.torture.syscalls_scenes import Scene

KILLED = -9
"""strace ends with the signal of its child."""
GAVE_UP = 1
"""The exit code of a keeper whose supervisors were all killed at the same call."""
DOCUMENTED = (exit_codes.DONE, exit_codes.DATABASE, exit_codes.UNKNOWN, exit_codes.ANSWER_LOST)
"""The exit codes that a command may return with a failing disk."""


class After(NamedTuple):
    """The state after a command."""

    home: Path
    code: int
    out: str
    err: str
    killed: bool


def judged(scene: Scene, after: After) -> Iterator[str]:
    """Yield the findings, one line each."""
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
    shown = f"exit {after.code}, {after.out!r}, {after.err!r}"
    errors = [line for line in after.err.splitlines() if not line.startswith(("made a", "job "))]
    if "Traceback" in after.err:
        yield f"a traceback: {shown}"
    elif after.killed and not scene.keeper:
        if after.code != KILLED:
            yield f"it was not killed: {shown}"
    elif after.code not in DOCUMENTED and not (after.killed and after.code == GAVE_UP):
        yield f"an exit that is not documented: {shown}"
    elif after.code > 0 and not (errors and errors[-1].startswith("error: ")):
        yield f"no line that says why: {shown}"


def _whole(queue: Queue) -> Iterator[str]:
    with queue.store.read() as tx:
        verdict = verify(tx)
    if not verdict.sound:
        yield f"the log: {verdict.broken} {verdict.missing_guards}"
    if differences := compare(queue.store):
        yield f"the read models: {differences[0]}"


def _enqueued(queue: Queue, scene: Scene, after: After) -> Iterator[str]:
    """Check that acknowledged jobs exist and refused ones do not. `unknown` may be either."""
    with queue.store.read() as tx:
        existing = {job.id for job in jobs.page(tx, jobs.Filter(), limit=100)}
    shown = f"exit {after.code}, {after.out!r}, {after.err!r}; existing: {sorted(existing)}"
    printed = re.findall(r"^\d+$", after.out, re.MULTILINE)
    if not set(printed) <= existing or (after.code == exit_codes.DONE and not printed):
        yield f"acknowledged and lost: {shown}"
    if after.code == exit_codes.DATABASE and len(existing) > scene.jobs:
        yield f"refused and done: {shown}"
    if after.code == exit_codes.ANSWER_LOST and len(existing) == scene.jobs:
        yield f"said to be recorded and lost: {shown}"


def _worked(after: After) -> Iterator[str]:
    """Check that no job is stuck, has two results, or ran without a claim."""
    drained = Ctl(after.home)("worker", "start", "--until-empty", code=None)
    if drained.code:
        yield f"the next worker: {drained}"
        return
    ran = Counter((after.home / "ran").read_text().split())
    with Queue(after.home / "queue.db") as queue:
        yield from _whole(queue)
        with queue.store.read() as tx:
            page = jobs.page(tx, jobs.Filter(), limit=100)
        ends = Counter(
            (recorded.stream, recorded.event.attempt)
            for recorded in queue.events()
            if isinstance(recorded.event, Succeeded | Failed)
        )
    if stuck := [(job.id, job.state) for job in page if job.state not in FINAL]:
        yield f"stuck: {stuck}"
    if double := [attempt for attempt, n in ends.items() if n > 1]:
        yield f"two results: {double}"
    if over := [job.id for job in page if ran[job.id] > job.attempt]:
        yield f"ran more often than it was claimed: {over}, {dict(ran)}"
    if (
        after.code == exit_codes.DONE
        and not after.killed
        and (again := [j for j in ran if ran[j] > 1])
    ):
        yield f"ran twice although its worker ran on: {again}; {after.err!r}"
