"""Check the arguments of the Python API, so that a wrong value raises BadInput at once."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..core.requests import NewJob
from ..errors import BadInput, NoSuchJob
from ..text.durations import SECOND_US, duration_us
from ..text.numbers import LARGEST_INTEGER

LONGEST_ACTOR = 200


def path_from(path: object) -> str | None:
    """Return the path of a queue file as text, or None for None. Raises BadInput."""
    if path is None:
        return None
    if not isinstance(path, str | bytes | os.PathLike):
        raise BadInput(f"a queue file is named by a path, not {path!r:.100}")
    text = os.fsdecode(path)
    try:
        if b"\0" in os.fsencode(text):
            raise BadInput(f"a path has no NUL character: {text!r:.100}")
    except UnicodeEncodeError:
        raise BadInput(f"{text!r:.100} can be no path: it is not UTF-8") from None
    return text


def actor_from(actor: object) -> str:
    """Return the actor, as the log records it. Raises BadInput."""
    if not isinstance(actor, str) or not 0 < len(actor) <= LONGEST_ACTOR:
        raise BadInput(f"actor is text of 1 to {LONGEST_ACTOR} characters, not {actor!r:.100}")
    if not actor.isprintable():
        raise BadInput(f"actor is one line of printable text, not {actor!r:.100}")
    return actor


def id_from(job_id: object) -> str:
    """Return a job's id as text, also if it is an int. Raises BadInput.

    Raises NoSuchJob for text that is not UTF-8, which no id can be.
    """
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        return str(job_id)
    if not isinstance(job_id, str):
        raise BadInput(f"a job's id is text, not {job_id!r:.100}")
    if not _is_utf8(job_id):
        raise NoSuchJob(job_id)
    return job_id


def reason_from(reason: object) -> str | None:
    """Return a reason to record, or None for None. Raises BadInput."""
    if reason is None:
        return None
    if not isinstance(reason, str) or not _is_utf8(reason):
        raise BadInput(f"a reason is text, not {reason!r:.100}")
    return reason


def timeout_from(timeout_s: object) -> float | None:
    """Return how long to wait, in seconds; None for no limit.

    timeout_s: a number of seconds, or text such as `5m`. Raises BadInput.
    """
    if timeout_s is None:
        return None
    if isinstance(timeout_s, str):
        return duration_us(timeout_s) / SECOND_US
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s >= 0:
        raise BadInput(f"timeout_s is seconds, or text such as '5m', not {timeout_s!r:.100}")
    return timeout_s


def position_from(position: object) -> int:
    """Return a position in the log, limited to 0 … 2**63 - 1. Raises BadInput."""
    if not isinstance(position, int) or isinstance(position, bool):
        raise BadInput(f"a position is a whole number, not {position!r:.100}")
    return min(max(position, 0), LARGEST_INTEGER)


def numbered_jobs(jobs: object) -> Iterator[tuple[int, object]]:
    """Yield the jobs of a list with their numbers, starting at 1. Raises BadInput at once."""
    if not isinstance(jobs, Iterable) or isinstance(jobs, str | bytes | Mapping | NewJob):
        raise BadInput(f"jobs is a list of dicts, not {jobs!r:.100}")
    return iter(enumerate(jobs, 1))


def job_from(number: int, job: object, now_us: int) -> NewJob:
    """Return the request for a job. number: its place in the list, from 1. Raises BadInput."""
    from .job_spec import new_job

    if isinstance(job, NewJob):
        return job
    if not isinstance(job, Mapping) or not all(isinstance(key, str) for key in job):
        raise BadInput(f"job {number} is a dict such as {{'command': 'make'}}, not {job!r:.100}")
    keys: Mapping[str, Any] = job
    try:
        return new_job(keys, now_us)
    except BadInput as error:
        raise BadInput(f"job {number}: {error}") from None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
