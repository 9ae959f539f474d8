"""Groups of dead jobs by cause and queue, each with the last output of its newest job."""

import re
from typing import NamedTuple

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import dead, jobs, runs

from . import job_output
from .connections import Source

MAX_GROUPS_READ = 200
"""Most groups to read to find the largest ones."""
TAIL_LINES = 3
"""Last lines of an output that a group shows."""
TAIL_BYTES = 4_000
"""Bytes at the end of an output to read for its last lines."""

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


class DeadGroup(NamedTuple):
    """Dead jobs of one queue that died of the same cause."""

    group: dead.Group
    newest: Job
    last_lines: list[str]
    """The last lines that the newest job printed."""

    @property
    def is_lower_bound(self) -> bool:
        """Whether the group may have more jobs than were counted."""
        return self.group.jobs >= dead.COUNTED


def largest_groups(tx: Reader, queue: str | None = None) -> list[dead.Group]:
    """Return the groups of one queue, or of all queues for None; the largest first."""
    groups = [
        group for group in dead.groups(tx, MAX_GROUPS_READ) if queue is None or group.queue == queue
    ]
    return sorted(groups, key=lambda group: -group.jobs)


def dead_groups(tx: Reader, source: Source, most: int, queue: str | None = None) -> list[DeadGroup]:
    """Return the `most` largest groups, each with its newest job and that job's last lines."""
    rows: list[DeadGroup] = []
    for group in largest_groups(tx, queue)[:most]:
        newest = jobs.many(tx, dead.newest(tx, group.cause, group.queue, 1))
        if newest:
            rows.append(DeadGroup(group, newest[0], last_output_lines(tx, source, newest[0])))
    return rows


def last_output_lines(tx: Reader, source: Source, job: Job) -> list[str]:
    """Return the last lines that the last attempt of `job` printed, without colours.

    Empty lines are left out. If the job rewrote a line with carriage returns, its last state is
    returned.
    """
    run = runs.get(tx, job.born, job.attempt)
    if run is None or not run.output_bytes:
        return []
    text = job_output.last_part(tx, source, job.id, job.attempt, run.output_bytes, TAIL_BYTES).text
    lines = (line.rsplit("\r", 1)[-1].rstrip() for line in plain_lines(text))
    return [line for line in lines if line][-TAIL_LINES:]


def plain_lines(text: str) -> list[str]:
    """Split an output into lines, and remove its escape sequences."""
    return [line.rstrip("\r") for line in _ESCAPES.sub("", text).split("\n")]
