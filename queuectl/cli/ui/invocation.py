"""What was typed: the queue that `--db` named, and the line itself, for the hints of an answer."""

import shlex

import click

from ...text.hints import with_db_option

TYPED = "queuectl.typed"
"""Where the root context keeps the words of the command line."""


def named_db() -> str | None:
    """The path that `--db` gave, before the subcommand or after it."""
    named = click.get_current_context().find_root().obj
    assert named is None or isinstance(named, str)
    return named


def with_named_db(hint: str) -> str:
    """A hint or an error, its `queuectl …` as they must be typed for this queue."""
    return with_db_option(hint, named_db())


def same_line_from(cursor: int) -> str:
    """The line that was typed, for the page after `cursor`."""
    words = list(click.get_current_context().find_root().meta[TYPED])
    if "--after" in words:
        at = words.index("--after")
        del words[at : at + 2]
    kept = [word for word in words if not word.startswith("--after=")]
    return shlex.join(["queuectl", *kept, "--after", f"@{cursor}"])
