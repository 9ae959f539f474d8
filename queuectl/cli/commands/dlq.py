"""`dlq`: list, retry and discard dead jobs, which have used all their retries."""

from typing import Any

import click

from projections.folds.job import Job
from projections.read_models import jobs

from ...api import Queue
from ...core.requests import Discard, RetryDead
from ...core.snapshot import Reading
from ...input.job_filter import job_filter
from ..ui import job_selection, options, paging
from ..ui.columns import DEAD_COLUMNS
from ..ui.job_selection import JobSelection
from ..ui.paging import Page
from ..ui.printer import Printer
from ..ui.several import change, takes_jobs
from .show import show_job


@click.group("dlq")
def dlq_command() -> None:
    """List, retry or discard dead jobs (out of retries)."""


@dlq_command.command("show", epilog=options.examples("queuectl dlq show last"))
@click.argument("job", metavar="JOB", shell_complete=options.completed_by("job_ids"))
@options.printer
@options.reading
def show(reading: Reading, out: Printer, job: str) -> None:
    """Show one job: command, policy, attempts, and why it waits."""
    show_job(reading, out, job, dead_only=True)


@dlq_command.command(
    "list", epilog=options.examples("queuectl dlq list", "queuectl dlq list --json")
)
@job_selection.queue_option
@job_selection.cause_option
@paging.pages
@options.list_printer
@options.reading
def list_(reading: Reading, out: Printer, queue: str | None, cause: str | None, page: Page) -> None:
    """List dead jobs, newest first."""
    which = job_filter(("dead",), queue=queue, cause=cause)
    with reading.read() as tx:
        paging.print_page(out, tx, which, page, DEAD_COLUMNS)
        if jobs.page(tx, which, page.after, limit=1):
            out.hint("retry: queuectl dlq retry JOB · why: queuectl history JOB")


@dlq_command.command(
    "retry", epilog=options.examples("queuectl dlq retry last", "queuectl dlq retry --all --yes")
)
@takes_jobs
def retry(queue: Queue, out: Printer, chosen: JobSelection, **change_options: Any) -> None:
    """Requeue dead jobs with their retry count reset."""
    chosen = chosen._replace(dead_only=True)
    change(queue, out, chosen, RetryDead, "retry", _retried, among=("dead",), **change_options)


def _retried(job: Job) -> str:
    return f"is {job.state} again"


@dlq_command.command(
    "discard", epilog=options.examples("queuectl dlq discard last --reason 'source file is gone'")
)
@takes_jobs
def discard(queue: Queue, out: Printer, chosen: JobSelection, **change_options: Any) -> None:
    """Permanently discard dead jobs (they become cancelled)."""
    chosen = chosen._replace(dead_only=True)
    change(queue, out, chosen, Discard, "discard", _discarded, among=("dead",), **change_options)


def _discarded(_: Job) -> str:
    return "is discarded"
