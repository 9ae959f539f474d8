"""How values look on a page: the filters that the templates use."""

from datetime import datetime

from flask import Flask
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from projections.folds.job import Job
from queuectl.escape import visible
from queuectl.event_wording import what
from queuectl.text.causes import cause_words
from queuectl.text.durations import age, duration
from queuectl.text.exit_lists import endings_text, successes_text
from queuectl.text.numbers import plural
from queuectl.text.outcomes import manner, memory, outcome_word, stragglers
from queuectl.text.sizes import size
from queuectl.text.timestamps import rfc3339

from .json_shapes import retry_words
from .settings_history import shown

SORT_WORDS = {
    "newest": "newest first",
    "oldest": "oldest first",
    "latest": "latest change",
    "longest": "longest duration",
    "attempts": "most attempts",
}


def install(app: Flask) -> None:
    """Give the templates their words."""
    app.jinja_env.filters.update(
        duration=duration,
        size=size,
        plain=visible,
        endings=endings_text,
        successes=successes_text,
        failure=failure,
        lines=lines,
        clock=clock,
        day=day,
        iso=rfc3339,
        number=number,
        percent=percent,
        short=short,
        minute=minute,
        command_line=command_line,
        cause_words=cause_words,
    )
    app.jinja_env.globals.update(
        plural=plural,
        what=what,
        outcome_word=outcome_word,
        ago=ago,
        elapsed=elapsed,
        retry_words=retry_words,
        setting_text=shown,
        sort_words=SORT_WORDS,
        memory=memory,
        stragglers=stragglers,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def lines(text: str) -> str:
    """Job text of several lines: newlines and tabs stay, the rest is made visible."""
    return visible(text.replace("\r\n", "\n"), keep="\n\t")


def clock(at_us: int) -> str:
    """The time of day here, to the millisecond."""
    at = _local(at_us)
    return "—" if at is None else f"{at:%H:%M:%S}.{at_us // 1000 % 1000:03d}"


def day(at_us: int) -> str:
    """The date here."""
    at = _local(at_us)
    return "invalid date" if at is None else f"{at:%a} {at.day} {at:%b} {at.year}"


def minute(at_us: int, with_day: bool) -> str:
    """The time of day here, to the minute; for a time further back with its weekday."""
    at = _local(at_us)
    return "—" if at is None else f"{at:%a %H:%M}" if with_day else f"{at:%H:%M}"


def _local(at_us: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_us // 1_000_000)
    except (ValueError, OverflowError, OSError):
        return None


def number(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def percent(part: float) -> str:
    """A number for an attribute of a picture."""
    return f"{part:.2f}"


def short(text: str, most: int = 120) -> str:
    """At most so many characters of it, control characters made visible."""
    return visible(text if len(text) <= most else text[: most - 1] + "…")


def failure(job: Job) -> str:
    """How its last attempt failed, in the words of the command line."""
    return manner(job.failure or "dead", job.exit_code, job.signal)


def ago(at_us: int, now_us: int) -> Markup:
    """A time as its distance from now. The script keeps it true while the page stays open."""
    exact = rfc3339(at_us)
    words = f"in {age(at_us - now_us)}" if at_us > now_us else f"{age(now_us - at_us)} ago"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        exact, f"{day(at_us)} {clock(at_us)}", words
    )


def elapsed(since_us: int, now_us: int) -> Markup:
    """How long something has been running. The script keeps it true while the page stays open."""
    whole_us = max(0, now_us - since_us) // 1_000_000 * 1_000_000
    return Markup(
        '<time class="elapsed" datetime="{}" title="since {} {}" data-elapsed>{}</time>'
    ).format(rfc3339(since_us), day(since_us), clock(since_us), duration(whole_us))


@pass_context
def command_line(context: Context, words: str) -> Markup:
    """A command line in which the option that names the queue file stands back."""
    option: str = context["db_option"]
    before, found, after = words.partition(option) if option else (words, "", "")
    if not found:
        return escape(visible(words))
    return Markup('{}<span class="db">{}</span>{}').format(
        visible(before), visible(found), visible(after)
    )
