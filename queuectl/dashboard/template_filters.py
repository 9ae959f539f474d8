"""The filters and functions that format values in the templates."""

from flask import Flask
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from projections.folds.job import Job
from projections.streams import is_job, named
from queuectl.escape import visible
from queuectl.event_wording import event_text
from queuectl.input.job_options import option_lines
from queuectl.text.causes import cause_words
from queuectl.text.durations import duration
from queuectl.text.numbers import plural
from queuectl.text.outcomes import how_ended, memory, outcome_word, stragglers
from queuectl.text.sizes import size
from queuectl.text.timestamps import ago, clock, day, minute, rfc3339

from .json_shapes import retry_words
from .settings_history import setting_text

SORT_WORDS = {
    "newest": "newest first",
    "oldest": "oldest first",
    "latest": "latest change",
    "longest": "longest duration",
    "attempts": "most attempts",
}


def install(app: Flask) -> None:
    """Add the filters and functions to the templates of the app."""
    app.jinja_env.filters.update(
        duration=duration,
        size=size,
        plain=visible,
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
        is_job=is_job,
        option_lines=option_lines,
        stream_named=named,
        event_text=event_text,
        outcome_word=outcome_word,
        ago=ago_element,
        elapsed=elapsed_element,
        retry_words=retry_words,
        setting_text=setting_text,
        sort_words=SORT_WORDS,
        memory=memory,
        stragglers=stragglers,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def lines(text: str) -> str:
    """Return job text of several lines; control characters except newlines and tabs are visible."""
    return visible(text.replace("\r\n", "\n"), keep="\n\t")


def number(count: int) -> str:
    """Format a number as `12,345`."""
    return f"{count:,}"


def percent(part: float) -> str:
    """Format a number with two decimals, for an attribute of an SVG element."""
    return f"{part:.2f}"


def short(text: str, most: int = 120) -> str:
    """Cut the text to `most` characters, and make control characters visible."""
    return visible(text if len(text) <= most else text[: most - 1] + "…")


def failure(job: Job) -> str:
    """Return how the last attempt of a job failed, in the words of the command line."""
    return how_ended(job.failure or "dead", job.exit_code, job.signal)


def ago_element(at_us: int, now_us: int) -> Markup:
    """Return an element with a time as its distance from now; live.js updates it every second."""
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        rfc3339(at_us), f"{day(at_us)} {clock(at_us)}", ago(at_us, now_us)
    )


def elapsed_element(since_us: int, now_us: int) -> Markup:
    """Return an element with the time since `since_us`; live.js updates it every second."""
    whole_us = max(0, now_us - since_us) // 1_000_000 * 1_000_000
    return Markup(
        '<time class="elapsed" datetime="{}" title="since {} {}" data-elapsed>{}</time>'
    ).format(rfc3339(since_us), day(since_us), clock(since_us), duration(whole_us))


@pass_context
def command_line(context: Context, words: str) -> Markup:
    """Return a command line in which the option that names the queue file is less prominent."""
    option: str = context["db_option"]
    before, option, after = words.partition(option) if option else (words, "", "")
    if not option:
        return escape(visible(words))
    return Markup('{}<span class="db">{}</span>{}').format(
        visible(before), visible(option), visible(after)
    )
