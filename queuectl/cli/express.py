"""The commonest line of all, one job enqueued by a script, without the parser of command lines.

click takes a quarter of its time. Whatever else is typed is left to it, and so is the telling of
what goes wrong before anything is written.
"""

import os
import sys

import msgspec

from eventstore.errors import Busy, OutcomeUnknown, StoreError
from eventstore.location import locate

from .. import exit_codes
from ..api import Queue
from ..core.clock import SystemClock
from ..core.requests import NewJob
from ..errors import QueueError
from ..input.job_spec import new_job
from .error_codes import code_of
from .ui.recorded import AnswerLost, answering, jobs_in_short, report_lost_answer, say


class _Line(msgspec.Struct, frozen=True):
    """What is typed: `enqueue -- CMD ARG...` or `enqueue JSON`, with `--db` before or after."""

    db: str | None
    command: list[str]
    json: str | None


def enqueue(words: list[str]) -> int | None:
    """The exit code, once one job is in the log; None where nothing was written, for click."""
    line = _line(words)
    if line is None or _watched():
        return None
    try:
        if not os.path.exists(locate(line.db).path):  # click tells where it makes one
            return None
        new = _job(line)
        if new.run_at_us is not None or (new.delay_us is not None and os.isatty(2)):
            return None  # a person reads when it is due, anyone that its time has passed
        job_id = _enqueued(line.db, new)
    except (Busy, OutcomeUnknown) as error:  # no second try: it took a minute, or may stand
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
    """The value of a leading `--db PATH` or `--db=PATH`, and the words after it."""
    match words:
        case ["--db", path, *rest]:
            return path, rest
        case [word, *rest] if word.startswith("--db="):
            return word.removeprefix("--db="), rest
    return None, words


def _watched() -> bool:
    """By a person, who is told more than the id; or a stream is closed, and must be filled."""
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
    """The id of the new job; None if there is a job with its own id already, for click to say."""
    with Queue(db, on_wait=say) as queue, queue.write() as session:
        before, _ = session.tx.last
        answer = session.enqueue(new)
        if isinstance(answer, QueueError):
            raise answer
        return answer.id if answer.born > before else None
