"""`list`, `wait` and `cancel`: several jobs at a time."""

import shutil

import click

from eventstore.store import Reader
from projections.folds.job import FINAL, STATES, Job
from projections.read_models import counts
from projections.read_models.jobs import Filter

from ..queue import Queue, wait_for
from ..reading import Reading
from ..requests import Cancel
from ..shapes import job_shape
from ..units import duration_us
from . import exits, options, pages, selectors
from .answers import Changed
from .columns import JOB, NAME, QUEUE
from .look import Column
from .pages import Page
from .printer import Printer, line
from .selectors import Selector
from .watching import watch
from .writing import change_jobs, confirm, id_and_state

WIDE = 100
"""Columns of a terminal from which on a list shows more of each job."""


@click.command(
    "list",
    epilog=options.examples(
        "queuectl list --state pending",
        "queuectl list --queue default --since 2h-ago",
        "queuectl list --all --jsonl",
    ),
)
@selectors.filters
@pages.pages
@options.watch
@options.list_printer
@options.reading
def list_command(
    reading: Reading, out: Printer, which: Filter, page: Page, watch_s: float | None
) -> None:
    """List jobs, newest first."""

    def show() -> None:
        with reading.read() as tx:
            pages.print_page(out, tx, which, page, _columns(out, tx))

    watch(reading, out, show, watch_s)


def _columns(out: Printer, tx: Reader) -> tuple[Column[Job], ...]:
    """A wide terminal gets the names, too, and the queues where there are several."""
    if not out.terminal or shutil.get_terminal_size().columns < WIDE:
        return JOB
    queue = (QUEUE,) if len(counts.by_queue(tx)) > 1 else ()
    return (*JOB[:-1], *queue, NAME, JOB[-1])


@click.command(
    "wait",
    epilog=options.examples("queuectl wait last", "queuectl wait 1-3 --timeout 1h"),
)
@selectors.several
@click.option("--any", "any_of", is_flag=True, help="Only until the first of them is done.")
@click.option("--timeout", metavar="D", help="How long at the most: 90, 5m, 1h30m.")
@options.printer
@options.reading
def wait_command(
    reading: Reading, out: Printer, chosen: Selector, any_of: bool, timeout: str | None
) -> int:
    """Wait until jobs are done; exits 0 if all completed, else 1."""
    timeout_s = None if timeout is None else duration_us(timeout) / 1_000_000
    with reading.read() as tx:
        ids = chosen.ids(tx)
    done = [
        job
        for job in wait_for(reading, ids, timeout_s=timeout_s, any_of=any_of)
        if job.state in FINAL
    ]
    if out.form == "json":
        with reading.read() as tx:
            position = tx.head().position
        out.document(Changed(position=position, jobs=[job_shape(job) for job in done]))
    else:
        for job in done:
            line(_said(job) if out.terminal else id_and_state(job))
    return exits.DONE if all(job.state == "completed" for job in done) else exits.NO


@click.command(
    "cancel",
    epilog=options.examples(
        "queuectl cancel last", "queuectl cancel --queue default --state pending --yes"
    ),
)
@selectors.several
@options.reason
@options.dry_run
@options.yes
@options.printer
@options.queue
def cancel_command(
    queue: Queue, out: Printer, chosen: Selector, reason: str | None, dry_run: bool, yes: bool
) -> None:
    """End jobs, those that wait and those that run."""
    with queue.read() as tx:
        ids = chosen.ids(tx, among=tuple(state for state in STATES if state not in FINAL))
    confirm(out, len(ids), "cancel", yes or dry_run)
    asked = (Cancel(job_id=job_id, reason=reason) for job_id in ids)
    change_jobs(queue, out, asked, _said, dry_run=dry_run)


def _said(job: Job) -> str:
    if job.cancel_requested:
        return f"job {job.id} runs; its worker will end it"
    return f"job {job.id} is {job.state}"
