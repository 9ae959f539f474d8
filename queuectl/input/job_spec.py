"""Make a new job from the keys of its JSON, or from the options of `enqueue`."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..core.requests import NewJob
from ..errors import BadInput, nearest
from ..text.timestamps import by_the_day, coming_us, relative_us
from .job_options import OPTIONS
from .job_values import Check, argv, command, tags

ARGUMENT_BYTES = 131_071
"""The longest argument that Linux accepts: 32 pages, minus the NUL that ends it."""

UTF8_BYTES = 4
"""The maximum size of a character in UTF-8."""

TOGETHER_BYTES = 1 << 20
"""The limit for arguments and environment together.

The kernel allows two megabytes, which also have to hold the worker's own environment.
"""

UNKNOWN_SHOWN = 5
"""The maximum number of unknown keys that an error names."""

_KEYS: dict[str, tuple[str, Check]] = {
    "command": ("command", command),
    "argv": ("argv", argv),
    "tags": ("tags", tags),
    **{option.key: (option.field, option.check) for option in OPTIONS},
}
"""For each key the field of NewJob and the check of its value."""


@lru_cache(1_024)
def as_key(key: str) -> str:
    """Return how an error names a JSON key."""
    return f"{key!r:.100}"


def as_option(key: str) -> str:
    """Return how an error names an option of `enqueue`, or the command after `--`."""
    if key in ("command", "argv"):
        return "the command"
    return f"--{key.replace('_', '-')}"


def new_job(keys: Mapping[str, Any], now_us: int, named: Callable[[str], str] = as_key) -> NewJob:
    """Return the job that `keys` describes; a null value is ignored. Raises BadInput.

    now_us: the current time, to which a `run_at` of `14:05` or `in 2h` is relative. named: returns
    how an error names a key.
    """
    if not keys.keys() <= _KEYS.keys():
        raise BadInput(_unknown([key for key in keys if key not in _KEYS]))
    fields: dict[str, Any] = {}
    for key, value in keys.items():
        field, check = _KEYS[key]
        if value is None:
            continue
        if field in fields:
            raise BadInput(f"{named(key)} and another key mean the same; leave one out")
        fields[field] = check(named(key), value)
    _split_endings(fields)
    _refuse_contradictions(fields)
    if "run_at_us" in fields:
        fields.update(_run_at(fields.pop("run_at_us"), now_us))
    job = NewJob(**fields)
    _refuse_too_long(job)
    return job


def _unknown(keys: list[str]) -> str:
    """Return one error message about all unknown keys, with what to do about each."""
    from .other_keys import FOREIGN_KEYS, SET_BY_THE_QUEUE

    results = [key for key in keys if key in SET_BY_THE_QUEUE]
    parts = [f"leave out {', '.join(results)}: the queue sets them itself"] if results else []
    if "jobs" in keys:
        return "this is a list of jobs inside an object; give the array alone (jq .jobs)"
    unknown = [key for key in keys if key not in SET_BY_THE_QUEUE]
    for key in unknown[:UNKNOWN_SHOWN]:
        near = nearest(key.replace("-", "_"), _KEYS, FOREIGN_KEYS)
        parts.append(f"unknown job key {key!r:.100}" + f"; did you mean {near}?" * bool(near))
    if len(unknown) > UNKNOWN_SHOWN:
        parts.append(f"and {len(unknown) - UNKNOWN_SHOWN:,} more unknown keys")
    if unknown and not any("did you mean" in part for part in parts):
        parts.append(f"the keys are {', '.join(sorted(_KEYS))}")
    return "; ".join(parts)


_ENDINGS = {"success_exit": "success_signal", "no_retry_exit": "no_retry_signal"}


def _split_endings(fields: dict[str, Any]) -> None:
    """Split lists of exit codes and signals, which are written in one list and stored in two."""
    for codes in fields.keys() & _ENDINGS.keys():
        fields[codes], fields[_ENDINGS[codes]] = fields[codes]


def _run_at(text: str, now_us: int) -> dict[str, Any]:
    """Return the fields for a `run_at`.

    `in 2h` becomes a delay, so that the same text is the same request at any time.
    """
    if (delay_us := relative_us(text)) is not None:
        return {"delay_us": delay_us}
    return {"run_at_us": coming_us(text, now_us), "run_at": by_the_day(text)}


def _refuse_contradictions(fields: Mapping[str, Any]) -> None:
    if "command" not in fields and "argv" not in fields:
        raise BadInput('a job needs a "command" (text for sh -c) or an "argv" (list of arguments)')
    if "command" in fields and "argv" in fields:
        raise BadInput('give either "command" or "argv", not both')
    if "delay_us" in fields and "run_at_us" in fields:
        raise BadInput('give either "delay" or "run_at", not both')


def _refuse_too_long(job: NewJob) -> None:
    if job.command and not job.env and len(job.command) <= ARGUMENT_BYTES // UTF8_BYTES:
        return  # the usual case, without encoding the text
    texts = [job.command or "", *(job.argv or ()), *(f"{k}={v}" for k, v in job.env.items())]
    sizes = [len(text.encode()) for text in texts]
    if max(sizes) > ARGUMENT_BYTES:
        raise BadInput(
            f"an argument of {max(sizes):,} bytes can never run: the system's limit is"
            f" {ARGUMENT_BYTES:,}; put it into a file"
        )
    if sum(sizes) > TOGETHER_BYTES:
        raise BadInput(
            f"arguments and environment of {sum(sizes):,} bytes can never run; put them into a file"
        )
