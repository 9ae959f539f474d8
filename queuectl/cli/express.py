"""Enqueue one job from a script without click, which would take a quarter of the time.

click handles all other command lines, and all errors that are raised before anything is written.
See docs/decisions/0009.
"""

import os
import sys

import msgspec

from eventstore.errors import Away, Busy, OutcomeUnknown, StoreError
from eventstore.location import exists, locate

from .. import exit_codes
from ..api import Queue
from ..core.clock import SystemClock
from ..core.requests import NewJob
from ..core.transaction import queries_of_enqueue
from ..errors import QueueError
from ..input.job_spec import new_job
from .error_codes import code_of
from .ui.recorded import AnswerLost, answering, jobs_in_short, report_lost_answer, say


class _Line(msgspec.Struct, frozen=True):
    """A parsed command line: `enqueue -- CMD ARG...` or `enqueue JSON`, with or without `--db`."""

    db: str | None
    command: list[str]
    json: str | None


def enqueue(words: list[str]) -> int | None:
    """Enqueue the job of this command line and return the exit code.

    Return None if nothing was written; click then has to handle the command line.
    """
    line = _line(words)
    if line is None or _is_interactive():
        return None
    try:
        if not exists(locate(line.db)):  # click reports where it creates the queue
            return None
        new = _job(line)
        if new.run_at_us is not None or (new.delay_us is not None and os.isatty(2)):
            return None  # click also prints when the job is due, or that its time has passed
        job_id = _enqueued(line.db, new)
    except (Away, Busy, OutcomeUnknown) as error:
        # Do not try again with click: this waited a minute, or the job may be recorded.
        say(f"error: {error}")
        return code_of(error)
    except (QueueError, StoreError):
        return None
    if job_id is None:
        return None
    try:
        with answering(lambda: jobs_in_short([job_id])):
            print(job_id)
    except AnswerLost as error:
        return report_lost_answer(error)
    return exit_codes.DONE


def _line(words: list[str]) -> _Line | None:
    """Parse the command line. Return None if this module does not handle it."""
    before, rest = _db_first(words)
    if rest[:1] != ["enqueue"]:
        return None
    after, rest = _db_first(rest[1:])
    if before is not None and after is not None:
        return None
    db = before if after is None else after
    match rest:
        case ["--", _, *_]:
            return _Line(db, rest[1:], None)
        case [text] if text.startswith("{"):
            return _Line(db, [], text)
    return None


def _db_first(words: list[str]) -> tuple[str | None, list[str]]:
    """Return the value of a leading `--db PATH` or `--db=PATH`, and the words after it."""
    match words:
        case ["--db", path, *rest]:
            return path, rest
        case [word, *rest] if word.startswith("--db="):
            return word.removeprefix("--db="), rest
    return None, words


def _is_interactive() -> bool:
    """Return whether click is needed for the output.

    A person at a terminal gets more than the id, and click's code replaces closed streams.
    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return any(stream is None for stream in streams) or os.isatty(1)


def _job(line: _Line) -> NewJob:
    now_us = SystemClock().wall_us()
    if line.json is not None:
        from ..input.job_files import jobs_from_json

        return jobs_from_json(line.json.encode(errors="surrogateescape"), now_us)[0]
    if len(line.command) == 1:
        return new_job({"command": line.command[0]}, now_us)
    return new_job({"argv": line.command}, now_us)


def _enqueued(db: str | None, new: NewJob) -> str | None:
    """Enqueue the job and return its id. None if the id exists already: click reports that."""
    with Queue(db, on_wait=say) as queue, queue.write(ahead=queries_of_enqueue) as session:
        before, _ = session.tx.last
        answer = session.enqueue(new)
        if isinstance(answer, QueueError):
            raise answer
        return answer.id if answer.born > before else None
