"""List jobs page by page: the options that select a page, and the printing of a page."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click

from eventstore.store import Reader
from projections.folds.job import Job
from projections.read_models import jobs
from projections.read_models.jobs import Filter

from ...json_shapes import JobPage, job_shape
from .invocation import same_line_from
from .job_selection import matching, say_if_unused
from .param_types import Cursor, Whole
from .printer import Printer, note
from .style import Column

R = TypeVar("R")

PAGE = 50


LARGEST_PAGE = 1_000_000
"""The maximum of --limit; for more jobs there is --all."""


class Page(NamedTuple):
    """Which of the matching jobs to print."""

    limit: int | None
    """The maximum number of jobs; None for all."""
    after: int | None
    """The cursor of the previous page; None for the first page."""


def pages(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--limit`, `--after` and `--all`, and pass the subcommand `page`."""

    @wraps(run)
    def paged(*args: Any, limit: int, after: int | None, everything: bool, **kwargs: Any) -> R:
        return run(*args, page=Page(None if everything else limit, after), **kwargs)

    for add in (
        click.option("--all", "everything", is_flag=True, help="Show all jobs."),
        click.option(
            "--after",
            metavar="CURSOR",
            type=Cursor(1),
            help="Continue after the previous page (use its 'next' value).",
        ),
        click.option(
            "--limit",
            "-n",
            metavar="N",
            type=Whole(1, LARGEST_PAGE),
            default=PAGE,
            help=f"Show at most N jobs [default: {PAGE}].",
        ),
    ):
        paged = add(paged)
    return paged


def print_page(
    out: Printer,
    tx: Reader,
    which: Filter,
    page: Page,
    columns: tuple[Column[Job], ...],
) -> None:
    """Print one page. If another one follows, print how to get it (in a pipe to stderr)."""
    say_if_unused(tx, which.queue)
    matches = matching(tx, which, page.after)
    more: int | None = None
    if page.limit is not None:
        first = jobs.page(tx, which, page.after, page.limit + 1)
        more = first[page.limit - 1].born if len(first) > page.limit else None
        matches = iter(first[: page.limit])
    if out.form == "json":
        cursor = None if more is None else str(more)
        shapes = [job_shape(job) for job in matches]
        out.document(JobPage(position=tx.head().position, jobs=shapes, next=cursor))
    elif out.form == "jsonl":
        out.documents(job_shape(job) for job in matches)
    else:
        out.table(columns, matches, none="No matching jobs.")
    if more is not None and out.form != "json":
        say = out.hint if out.terminal else note
        say(f"more: {same_line_from(more)}, or --all")
