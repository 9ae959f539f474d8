"""The checks of the values of a job's keys.

Each takes the name of the key, for the error message, and the value from JSON or from Python. It
returns the value to store, or raises BadInput.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..core.settings import setting
from ..errors import BadInput
from ..escape import for_errors
from ..text.durations import duration_named, duration_us

Check = Callable[[str, Any], object]

MOST_TAGS = 100
"""The maximum number of tags of a job."""

BACKGROUND = ("end", "keep")
"""What to do with processes that an attempt leaves running."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_VARIABLE = r"(?!QUEUECTL_)[^=\0]{1,200}"


def text(key: str, value: Any) -> str:
    """Return text that can be recorded and passed to a program."""
    if not isinstance(value, str):
        raise BadInput(f"{key} must be text, not {for_errors(value)}")
    if "\0" in value:
        raise BadInput(f"{key} contains a NUL character, which no program can receive")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{key} is not valid UTF-8, or contains half a surrogate pair") from None
    return value


def command(key: str, value: Any) -> str:
    """Return the text of a shell command, which must not be empty."""
    if not text(key, value).strip():
        raise BadInput(f"{key} is empty: there is nothing to run")
    return str(value)


def argv(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of arguments."""
    if not isinstance(value, list | tuple) or not value:
        raise BadInput(f"{key} must be a list of at least one text, not {for_errors(value)}")
    command(key, value[0])
    return tuple(text(key, word) for word in value)


def _matching(pattern: str, rule: str) -> Check:
    """Return the check for text that matches the pattern. rule: the words after `KEY must`."""

    def check(key: str, value: Any) -> str:
        if not re.fullmatch(pattern, text(key, value)):
            raise BadInput(f"{key} must {rule}, not {for_errors(value)}")
        return str(value)

    return check


def short_text(key: str, value: Any) -> str:
    """Return text of 1 to 1,000 characters."""
    if not 0 < len(text(key, value)) <= 1000:
        raise BadInput(f"{key} must have 1 to 1,000 characters, not {len(value):,}")
    return str(value)


def whole(lowest: int, highest: int) -> Check:
    """Return the check for a whole number within these bounds."""

    def check(key: str, value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise BadInput(
                f"{key} must be a whole number from {lowest:,} to {highest:,},"
                f" not {for_errors(value)}"
            )
        return value

    return check


def duration(key: str, value: Any) -> int:
    """Return a duration in microseconds."""
    if isinstance(value, str):
        return duration_us(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f'{key} must be a duration such as 90 or "5m", not {for_errors(value)}')
    return duration_named(key, value)


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    """Return the value as a mapping. value: a mapping, `K=V`, or a list of `K=V`."""
    if isinstance(value, Mapping):
        return value
    pairs = value if isinstance(value, list | tuple) else [value]
    for pair in pairs:
        if "=" not in text(key, pair):
            raise BadInput(f"{key} must be K=V, not {for_errors(pair)}")
    texts: dict[str, str] = {}
    for name, word in (pair.split("=", 1) for pair in pairs):
        if texts.setdefault(name, word) != word:
            first, second = (f"{name:.100}={value:.100}" for value in (texts[name], word))
            raise BadInput(f"{key} says both {first} and {second}; leave one out")
    return texts


def tags(key: str, value: Any) -> dict[str, str]:
    """Return tags by name."""
    tags = _mapping(key, value)
    if len(tags) > MOST_TAGS:
        raise BadInput(f"{key}: a job has at most {MOST_TAGS} tags, not {len(tags):,}")
    name = _matching(_NAME, "have names of letters, digits, '_', '.' and '-'")
    return {str(name(key, tag)): short_text(f"{key} {tag}", word) for tag, word in tags.items()}


def variables(key: str, value: Any) -> dict[str, str]:
    """Return environment variables by name."""
    variables = _mapping(key, value)
    name = _matching(_VARIABLE, "have names without '=', and no QUEUECTL_… (the worker sets those)")
    return {str(name(key, var)): text(f"{key} {var}", word) for var, word in variables.items()}


def background(key: str, value: Any) -> str:
    """Return `end` or `keep`."""
    if value not in BACKGROUND:
        raise BadInput(f"{key!r} is end or keep, not {for_errors(value)}")
    return str(value)


def directory(key: str, value: Any) -> str:
    """Return an absolute path; a relative one begins in the current directory."""
    path = text(key, value)
    if not path.strip():
        raise BadInput(f"{key} is empty; name a directory, or leave it out for the current one")
    return os.path.abspath(os.path.expanduser(path))


def of_setting(name: str) -> Check:
    """Return the check for a value of a setting."""

    def check(key: str, value: Any) -> int | float:
        return setting(name).named(key).accept(value)

    return check


def job_id(key: str, value: Any) -> str:
    """Return an id that a client may choose."""
    from .job_ids import check_id  # most jobs have no id of their own, and imports take time

    return check_id(key, text(key, value))


def successes(key: str, value: Any) -> object:
    """Return the codes and the signals that `text.exit_lists.successes` reads."""
    from ..text import exit_lists

    return exit_lists.successes(key, value)


def endings(key: str, value: Any) -> object:
    """Return the codes and the signals that `text.exit_lists.endings` reads."""
    from ..text import exit_lists

    return exit_lists.endings(key, value)


name_of_queue = _matching(_NAME, "have 1 to 100 letters, digits, '_', '.' or '-'")
