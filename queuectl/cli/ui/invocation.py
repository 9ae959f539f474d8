"""The command line that was typed: its `--db`, and all its words, for hints."""

import shlex

import click

from eventstore.location import label_of

from ...text.hints import with_db_option

TYPED = "queuectl.typed"
"""The key, in the root context of click, of the words of the command line."""


def named_db() -> str | None:
    """Return the path or address given with `--db`, before or after the subcommand; else None."""
    path = click.get_current_context().find_root().obj
    assert path is None or isinstance(path, str)
    return path


def with_named_db(hint: str) -> str:
    """Return a hint or an error with the given `--db` added to each `queuectl …` in it."""
    db = named_db()
    return hint if db is None else with_db_option(hint, label_of(db))


def same_line_from(cursor: int) -> str:
    """Return the command line that was typed, changed to print the page after `cursor`."""
    words = list(click.get_current_context().find_root().meta[TYPED])
    if "--after" in words:
        at = words.index("--after")
        del words[at : at + 2]
    kept = [word for word in words if not word.startswith("--after=")]
    return shlex.join(["queuectl", *kept, "--after", f"@{cursor}"])
