"""The keys of a job, as JSON keys or options of `enqueue`, and the check of each value."""

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..core.requests import NewJob
from ..core.settings import setting
from ..errors import BadInput, nearest
from ..escape import as_written
from ..text.durations import duration_named, duration_us
from ..text.timestamps import by_the_day, coming_us, relative_us

ARGUMENT_BYTES = 131_071
"""The longest argument that Linux accepts: 32 pages, less the NUL that ends it."""

UTF8_BYTES = 4
"""The most bytes of a character in UTF-8."""

TOGETHER_BYTES = 1 << 20
"""The limit for arguments and environment together.

The kernel allows two megabytes, which also have to hold the worker's own environment.
"""

MOST_TAGS = 100
"""The maximum number of tags of a job."""

BACKGROUND = ("end", "keep")
"""What to do with processes that an attempt leaves running."""

UNKNOWN_SHOWN = 5
"""The maximum number of unknown keys that an error names."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_VARIABLE = r"(?!QUEUECTL_)[^=\0]{1,200}"

Check = Callable[[str, Any], object]
"""Takes the name of the key, for the error, and the value; returns the value to store."""


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
    """Return one error for all unknown keys, with what to do about each."""
    own = [key for key in keys if key in _SET_BY_THE_QUEUE]
    parts = [f"leave out {', '.join(own)}: the queue sets them itself"] if own else []
    if "jobs" in keys:
        return "this is a list of jobs inside an object; give the array alone (jq .jobs)"
    unknown = [key for key in keys if key not in _SET_BY_THE_QUEUE]
    for key in unknown[:UNKNOWN_SHOWN]:
        near = nearest(key.replace("-", "_"), _KEYS, _FOREIGN_KEYS)
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


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{key} must be text, not {as_written(value)}")
    if "\0" in value:
        raise BadInput(f"{key} contains a NUL character, which no program can receive")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{key} is not valid UTF-8, or contains half a surrogate pair") from None
    return value


def _command(key: str, value: Any) -> str:
    if not _text(key, value).strip():
        raise BadInput(f"{key} is empty: there is nothing to run")
    return str(value)


def _argv(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise BadInput(f"{key} must be a list of at least one text, not {as_written(value)}")
    _command(key, value[0])
    return tuple(_text(key, word) for word in value)


def _matching(pattern: str, rule: str) -> Check:
    def check(key: str, value: Any) -> str:
        if not re.fullmatch(pattern, _text(key, value)):
            raise BadInput(f"{key} must {rule}, not {as_written(value)}")
        return str(value)

    return check


def _short(key: str, value: Any) -> str:
    if not 0 < len(_text(key, value)) <= 1000:
        raise BadInput(f"{key} must have 1 to 1,000 characters, not {len(value):,}")
    return str(value)


def _whole(lowest: int, highest: int) -> Check:
    def check(key: str, value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise BadInput(
                f"{key} must be a whole number from {lowest:,} to {highest:,},"
                f" not {as_written(value)}"
            )
        return value

    return check


def _duration(key: str, value: Any) -> int:
    if isinstance(value, str):
        return duration_us(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f'{key} must be a duration such as 90 or "5m", not {as_written(value)}')
    return duration_named(key, value)


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    """Return a mapping from an object, one `K=V` or a list of them. Raises BadInput."""
    if isinstance(value, Mapping):
        return value
    pairs = value if isinstance(value, list | tuple) else [value]
    for pair in pairs:
        if "=" not in _text(key, pair):
            raise BadInput(f"{key} must be K=V, not {as_written(pair)}")
    texts: dict[str, str] = {}
    for name, text in (pair.split("=", 1) for pair in pairs):
        if texts.setdefault(name, text) != text:
            first, second = (f"{name:.100}={value:.100}" for value in (texts[name], text))
            raise BadInput(f"{key} says both {first} and {second}; leave one out")
    return texts


def _tags(key: str, value: Any) -> dict[str, str]:
    tags = _mapping(key, value)
    if len(tags) > MOST_TAGS:
        raise BadInput(f"{key}: a job has at most {MOST_TAGS} tags, not {len(tags):,}")
    name = _matching(_NAME, "have names of letters, digits, '_', '.' and '-'")
    return {str(name(key, tag)): _short(f"{key} {tag}", text) for tag, text in tags.items()}


def _env(key: str, value: Any) -> dict[str, str]:
    variables = _mapping(key, value)
    name = _matching(_VARIABLE, "have names without '=', and no QUEUECTL_… (the worker sets those)")
    return {str(name(key, var)): _text(f"{key} {var}", text) for var, text in variables.items()}


def _background(key: str, value: Any) -> str:
    if value not in BACKGROUND:
        raise BadInput(f"{key!r} is end or keep, not {as_written(value)}")
    return str(value)


def _directory(key: str, value: Any) -> str:
    path = _text(key, value)
    if not path.strip():
        raise BadInput(f"{key} is empty; name a directory, or leave it out for the current one")
    return os.path.abspath(os.path.expanduser(path))


def _setting(name: str) -> Check:
    def check(key: str, value: Any) -> int | float:
        return setting(name).named(key).accept(value)

    return check


def _id(key: str, value: Any) -> str:
    from .job_ids import check_id  # most jobs have no id of their own, and imports take time

    return check_id(key, _text(key, value))


def _successes(key: str, value: Any) -> object:
    from ..text.exit_lists import successes

    return successes(key, value)


def _endings(key: str, value: Any) -> object:
    from ..text.exit_lists import endings

    return endings(key, value)


name_of_queue = _matching(_NAME, "have 1 to 100 letters, digits, '_', '.' or '-'")

_KEYS: dict[str, tuple[str, Check]] = {
    "command": ("command", _command),
    "argv": ("argv", _argv),
    "id": ("id", _id),
    "name": ("name", _short),
    "queue": ("queue", name_of_queue),
    "priority": ("priority", _whole(-1_000_000, 1_000_000)),
    "tag": ("tags", _tags),
    "tags": ("tags", _tags),
    "delay": ("delay_us", _duration),
    "run_at": ("run_at_us", _text),
    "max_retries": ("max_retries", _setting("max-retries")),
    "backoff_base": ("backoff_base", _setting("backoff-base")),
    "backoff_max": ("backoff_max_us", _setting("backoff-max")),
    "jitter": ("jitter", _setting("jitter")),
    "timeout": ("timeout_us", _setting("timeout")),
    "grace": ("grace_us", _setting("grace")),
    "output_limit": ("output_limit_bytes", _setting("output-limit")),
    "success_exit": ("success_exit", _successes),
    "no_retry_exit": ("no_retry_exit", _endings),
    "cwd": ("cwd", _directory),
    "env": ("env", _env),
    "background": ("background", _background),
}

_SET_BY_THE_QUEUE = frozenset(
    {
        "state",
        "status",
        "attempt",
        "attempts",
        "begun",
        "retries_used",
        "round",
        "created_at",
        "updated_at",
        "enqueued_at",
        "changed_at",
        "due_at",
        "started_at",
        "finished_at",
        "completed_at",
        "claimed_at",
        "ended_at",
        "next_run_at",
        "next_retry_at",
        "worker",
        "worker_id",
        "locked_by",
        "locked_at",
        "pid",
        "failure",
        "error",
        "last_error",
        "exit_code",
        "signal",
        "result",
        "cancel_requested",
        "policy",
        "schema",
        "position",
    }
)
"""Keys of the results of jobs, in answers of this and other programs; not part of a request."""

_FOREIGN_KEYS = {
    **dict.fromkeys(("cmd", "shell", "script", "exec", "run", "payload", "task"), "command"),
    **dict.fromkeys(("args", "arguments", "command_args"), "argv"),
    **dict.fromkeys(("job_id", "uuid", "key"), "id"),
    **dict.fromkeys(("title", "label", "description"), "name"),
    **dict.fromkeys(("labels", "metadata", "meta"), "tags"),
    **dict.fromkeys(("retries", "max_attempts", "maxretries", "retry"), "max_retries"),
    **dict.fromkeys(("backoff", "base_backoff", "retry_delay"), "backoff_base"),
    **dict.fromkeys(("run_after", "at", "eta", "scheduled_at", "start_at", "when"), "run_at"),
    **dict.fromkeys(("countdown", "in", "wait"), "delay"),
    **dict.fromkeys(("dir", "directory", "workdir", "working_directory", "chdir"), "cwd"),
    **dict.fromkeys(("environment", "environ", "vars"), "env"),
    **dict.fromkeys(("prio", "nice", "weight"), "priority"),
    **dict.fromkeys(("channel", "topic", "lane"), "queue"),
    **dict.fromkeys(("max_runtime", "time_limit", "ttr"), "timeout"),
}
"""Names that other programs use for these keys."""
