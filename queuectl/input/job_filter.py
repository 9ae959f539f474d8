"""Convert filters of jobs, as people type them in options or addresses, to a `Filter`."""

import re
from collections.abc import Callable, Iterable
from typing import cast

from projections.folds.job import STATES, State
from projections.read_models.jobs import Filter

from ..core.clock import SystemClock
from ..errors import BadInput
from ..text.causes import cause_from
from ..text.timestamps import past_us

LONGEST_SEARCH = 400
"""The maximum number of characters of a text to search for."""


def job_filter(
    states: Iterable[str] = (),
    *,
    queue: str | None = None,
    tag: str | None = None,
    search: str | None = None,
    cause: str | None = None,
    since: str | None = None,
    until: str | None = None,
    tag_rule: str = "--tag must be K=V",
    recorded_at_us: Callable[[int], int] | None = None,
) -> Filter:
    """Return the filter that these texts describe; a cause without states selects dead jobs.

    tag_rule: how the error for a malformed tag begins. recorded_at_us: returns the time (UTC,
    microseconds since 1970) of the event at a position, so that `since` and `until` may be
    `@4711`; None if they are not given. Raises BadInput, and what `recorded_at_us` raises.
    """
    dead: tuple[State, ...] = () if cause is None else ("dead",)
    return Filter(
        states=_states(states) or dead,
        queue=queue,
        tag=None if tag is None else _tag(tag, tag_rule),
        search=None if search is None else _search(search),
        cause=None if cause is None else cause_from(cause),
        since_us=_time_us(since, recorded_at_us),
        until_us=_time_us(until, recorded_at_us),
    )


def position_or_time(text: str) -> tuple[int | None, int | None]:
    """Return (4711, None) for the position `@4711`, and (None, time) for a time.

    The time is UTC, microseconds since 1970. Raises BadInput.
    """
    if match := re.fullmatch(r"@([0-9]{1,18})", text):
        return int(match[1]), None
    return None, past_us(text, SystemClock().wall_us())


def _states(words: Iterable[str]) -> tuple[State, ...]:
    """Return the states, each once. Raises BadInput."""
    states = tuple(dict.fromkeys(words))
    for word in states:
        if word not in STATES:
            raise BadInput(f"there is no state {word[:40]!r}; the states are {', '.join(STATES)}")
    return cast(tuple[State, ...], states)


def _tag(text: str, rule: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"{rule}, not {text!r:.100}")
    return key, value


def _search(text: str) -> str:
    if len(text) > LONGEST_SEARCH or "\0" in text:
        raise BadInput(f"search for at most {LONGEST_SEARCH} characters, without NUL")
    return text


def _time_us(text: str | None, recorded_at_us: Callable[[int], int] | None) -> int | None:
    if text is None:
        return None
    position, time_us = position_or_time(text)
    if position is None:
        return time_us
    assert recorded_at_us is not None
    return recorded_at_us(position)
