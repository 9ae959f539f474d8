"""Jobs a page at a time: the options that turn pages, and how a page is printed."""

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
"""Of a page; whoever wants more wants all."""


class Page(NamedTuple):
    """Which of the jobs that a filter lets through."""

    limit: int | None
    """None is all of them."""
    after: int | None
    """The cursor of the page before."""


def pages(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--limit`, `--after` and `--all`, and give the subcommand `page`."""

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
    """Print it, and where there are more say how to go on; in a pipe, too, where it is not data."""
    say_if_unused(tx, which.queue)
    found = matching(tx, which, page.after)
    more: int | None = None
    if page.limit is not None:
        some = jobs.page(tx, which, page.after, page.limit + 1)
        more = some[page.limit - 1].born if len(some) > page.limit else None
        found = iter(some[: page.limit])
    if out.form == "json":
        cursor = None if more is None else str(more)
        shapes = [job_shape(job) for job in found]
        out.document(JobPage(position=tx.head().position, jobs=shapes, next=cursor))
    elif out.form == "jsonl":
        out.documents(job_shape(job) for job in found)
    else:
        out.table(columns, found, none="No matching jobs.")
    if more is not None and out.form != "json":
        say = out.hint if out.terminal else note
        say(f"more: {same_line_from(more)}, or --all")
