"""`dlq`: the jobs that failed for good."""

from collections.abc import Callable
from copy import copy
from typing import Any

import click

from projections.folds.job import Job
from projections.read_models import jobs

from ..queue import Queue
from ..reading import Reading
from ..requests import Discard, RetryDead
from . import options, pages, selectors
from .columns import DEAD
from .pages import Page
from .printer import Printer
from .selectors import Selector
from .show import show_command
from .writing import change_jobs, confirm


@click.group("dlq")
def dlq_command() -> None:
    """List, retry or discard dead jobs (out of retries)."""


show = copy(show_command)
show.epilog = options.examples("queuectl dlq show last")
dlq_command.add_command(show)


@dlq_command.command(
    "list", epilog=options.examples("queuectl dlq list", "queuectl dlq list --json")
)
@click.option(
    "--queue",
    "-q",
    metavar="Q",
    shell_complete=options.completed_by("queues"),
    help="Only jobs in this queue.",
)
@selectors.cause_option
@pages.pages
@options.list_printer
@options.reading
def list_(reading: Reading, out: Printer, queue: str | None, cause: str | None, page: Page) -> None:
    """List dead jobs, newest first."""
    which = selectors.filter_of(("dead",), queue, cause=cause)
    with reading.read() as tx:
        pages.print_page(out, tx, which, page, DEAD)
        if jobs.page(tx, which, page.after, limit=1):
            out.hint("retry: queuectl dlq retry JOB · why: queuectl history JOB")


def _of_the_dead(run: Callable[..., None]) -> Callable[..., None]:
    """What `retry` and `discard` both take."""
    for add in (
        options.existing_queue,
        options.printer,
        options.yes,
        options.dry_run,
        options.reason,
        selectors.several,
    ):
        run = add(run)
    return run


@dlq_command.command(
    "retry", epilog=options.examples("queuectl dlq retry last", "queuectl dlq retry --all --yes")
)
@_of_the_dead
def retry(queue: Queue, out: Printer, chosen: Selector, **how: Any) -> None:
    """Requeue dead jobs with their retry count reset."""
    _change(queue, out, chosen, RetryDead, "retry", lambda job: f"is {job.state} again", **how)


@dlq_command.command(
    "discard", epilog=options.examples("queuectl dlq discard last --reason 'source file is gone'")
)
@_of_the_dead
def discard(queue: Queue, out: Printer, chosen: Selector, **how: Any) -> None:
    """Permanently discard dead jobs (they become cancelled)."""
    _change(queue, out, chosen, Discard, "discard", lambda _: "is discarded", **how)


def _change(
    queue: Queue,
    out: Printer,
    chosen: Selector,
    request: type[RetryDead | Discard],
    verb: str,
    became: Callable[[Job], str],
    *,
    reason: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    with queue.read() as tx:
        ids = chosen.ids(tx, among=("dead",))
    confirm(out, len(ids), verb, yes or dry_run or chosen.by_id)
    asked = (request(job_id=job_id, reason=reason) for job_id in ids)
    change_jobs(queue, out, asked, lambda job: f"job {job.id} {became(job)}", dry_run=dry_run)
