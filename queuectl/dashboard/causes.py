"""Dead jobs by cause: how many, in which queue, and what the newest of them printed last."""

import re
from typing import NamedTuple

from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import Job
from projections.read_models import dead, jobs, runs

from . import job_output
from .connections import Source

MOST_GROUPS = 200
"""Groups that are read to find the largest."""
TAIL_LINES = 3
TAIL_BYTES = 4_000
"""Read of an output to show its last lines."""

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


class Cause(NamedTuple):
    """A group of dead jobs."""

    group: dead.Group
    newest: Job
    tail: list[str]
    """The last lines that the newest of them printed."""

    @property
    def is_lower_bound(self) -> bool:
        """Whether there may be more jobs than were counted."""
        return self.group.jobs >= dead.COUNTED


def groups(tx: SqliteReader, queue: str | None = None) -> list[dead.Group]:
    """The groups of one queue or of all, largest first."""
    found = [
        group for group in dead.groups(tx, MOST_GROUPS) if queue is None or group.queue == queue
    ]
    return sorted(found, key=lambda group: -group.jobs)


def causes(tx: SqliteReader, source: Source, most: int, queue: str | None = None) -> list[Cause]:
    """The `most` largest groups, with their newest job and its last lines."""
    found: list[Cause] = []
    for group in groups(tx, queue)[:most]:
        newest = jobs.many(tx, dead.newest(tx, group.cause, group.queue, 1))
        if newest:
            found.append(Cause(group, newest[0], tail(tx, source, newest[0])))
    return found


def tail(tx: SqliteReader, source: Source, job: Job) -> list[str]:
    """The last lines, without empty ones and colours, that the last attempt of `job` printed."""
    run = runs.get(tx, job.born, job.attempt)
    if run is None or not run.output_bytes:
        return []
    text = job_output.last(tx, source, job.id, job.attempt, run.output_bytes, TAIL_BYTES).text
    lines = (line.rsplit("\r", 1)[-1].rstrip() for line in last_states(text))
    return [line for line in lines if line][-TAIL_LINES:]


def last_states(text: str) -> list[str]:
    """The lines of an output without its escape sequences."""
    return [line.rstrip("\r") for line in _ESCAPES.sub("", text).split("\n")]
