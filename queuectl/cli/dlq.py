"""`dlq`: the jobs that failed for good."""

from copy import copy

import click

from projections.read_models import counts
from projections.read_models.jobs import Filter

from ..queue import Queue
from ..reading import Reading
from ..requests import Discard, Retry
from . import options, pages, selectors
from .columns import DEAD
from .pages import Page
from .printer import Printer
from .selectors import Selector
from .show import show_command
from .writing import change_jobs, confirm


@click.group("dlq")
def dlq_command() -> None:
    """The dead-letter queue: jobs whose retries are used up."""


show = copy(show_command)
show.epilog = options.examples("queuectl dlq show last")
dlq_command.add_command(show)


@dlq_command.command(
    "list", epilog=options.examples("queuectl dlq list", "queuectl dlq list --json")
)
@click.option("--queue", metavar="Q", help="In this queue.")
@pages.pages
@options.list_printer
@options.reading
def list_(reading: Reading, out: Printer, queue: str | None, page: Page) -> None:
    """List dead jobs, newest first."""
    with reading.read() as tx:
        which = Filter(states=("dead",), queue=queue)
        pages.print_page(out, tx, which, page, DEAD)
        if counts.total(tx, queue).states["dead"]:
            out.hint("again: queuectl dlq retry JOB · why: queuectl history JOB")


@dlq_command.command(
    "retry", epilog=options.examples("queuectl dlq retry last", "queuectl dlq retry --all --yes")
)
@selectors.several
@options.reason
@options.dry_run
@options.yes
@options.printer
@options.queue
def retry(
    queue: Queue, out: Printer, chosen: Selector, reason: str | None, dry_run: bool, yes: bool
) -> None:
    """Put dead jobs back in line, with a fresh budget of retries."""
    with queue.read() as tx:
        ids = chosen.ids(tx, among=("dead",))
    confirm(out, len(ids), "retry", yes or dry_run)
    asked = (Retry(job_id=job_id, reason=reason) for job_id in ids)
    change_jobs(
        queue, out, asked, lambda job: f"job {job.id} is {job.state} again", dry_run=dry_run
    )


@dlq_command.command(
    "discard", epilog=options.examples("queuectl dlq discard last --reason 'source file is gone'")
)
@selectors.several
@options.reason
@options.dry_run
@options.yes
@options.printer
@options.queue
def discard(
    queue: Queue, out: Printer, chosen: Selector, reason: str | None, dry_run: bool, yes: bool
) -> None:
    """Take dead jobs out for good; they count as cancelled."""
    with queue.read() as tx:
        ids = chosen.ids(tx, among=("dead",))
    confirm(out, len(ids), "discard", yes or dry_run)
    asked = (Discard(job_id=job_id, reason=reason) for job_id in ids)
    change_jobs(queue, out, asked, lambda job: f"job {job.id} is discarded", dry_run=dry_run)
