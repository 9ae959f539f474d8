"""`list`, `cancel` and `retry`: show or change several jobs at a time."""

import shutil
from functools import partial
from typing import Any

import click

from eventstore.location import Location
from eventstore.store import Reader
from projections.folds.job import FINAL, STATES, Job, State
from projections.read_models import counts, workers
from projections.read_models.jobs import Filter

from ...api import Queue
from ...core.requests import Cancel, Retry
from ...core.snapshot import Reading
from ...escape import visible
from ..ui import job_selection, options, paging
from ..ui.columns import JOB_COLUMNS, NAME_COLUMN, QUEUE_COLUMN, REASON_COLUMN
from ..ui.invocation import with_named_db
from ..ui.job_selection import JobSelection
from ..ui.living_workers import living_workers
from ..ui.paging import Page
from ..ui.printer import Printer, line
from ..ui.several import change, takes_jobs
from ..ui.style import Column
from ..ui.watch import watch

WAITING: tuple[State, ...] = ("failed", "scheduled")
"""The states that a filter of `retry` is restricted to: jobs that wait for a due time."""

NOT_FINAL = tuple(state for state in STATES if state not in FINAL)

WIDE = 100
"""The minimum width of a terminal (in characters) for additional columns."""


@click.command(
    "list",
    epilog=options.examples(
        "queuectl list --state pending",
        "queuectl list --queue default --since 2h-ago",
        "queuectl list --all --jsonl",
    ),
)
@job_selection.filter_options
@paging.pages
@options.watch_option
@options.list_printer
@options.reading
def list_command(
    reading: Reading, out: Printer, which: Filter, page: Page, watch_s: float | None
) -> None:
    """List jobs, newest first."""

    def show() -> None:
        with reading.read() as tx:
            paging.print_page(out, tx, which, page, _columns(out, tx))
        if out.terminal:
            line(_queue_line(reading.location, shutil.get_terminal_size().columns))

    watch(reading, out, show, watch_s)


def _queue_line(location: Location, width: int) -> str:
    """Return the line that names the queue file. The beginning of a long path is left out."""
    before, after = "Queue: ", f" ({location.reason})"
    path, room = visible(location.name), width - len(before) - len(after)
    if len(path) > room:
        after, room = "", width - len(before)
    return f"{before}{path if len(path) <= room else f'…{path[1 - room :]}'}{after}"


def _columns(out: Printer, tx: Reader) -> tuple[Column[Job], ...]:
    """Return the columns of the list.

    A terminal also gets the reason of a failure. A wide terminal also gets the name of the job,
    and its queue if there are several queues.
    """
    if not out.terminal:
        return JOB_COLUMNS
    if shutil.get_terminal_size().columns < WIDE:
        return (*JOB_COLUMNS[:-1], REASON_COLUMN, JOB_COLUMNS[-1])
    queues = (QUEUE_COLUMN,) if len(counts.by_queue(tx)) > 1 else ()
    return (*JOB_COLUMNS[:-1], REASON_COLUMN, *queues, NAME_COLUMN, JOB_COLUMNS[-1])


@click.command(
    "cancel",
    epilog=options.examples(
        "queuectl cancel last", "queuectl cancel --queue default --state pending --yes"
    ),
)
@takes_jobs
def cancel_command(queue: Queue, out: Printer, chosen: JobSelection, **change_options: Any) -> None:
    """Cancel waiting or running jobs."""
    change(
        queue,
        out,
        chosen,
        Cancel,
        "cancel",
        partial(_cancelled, queue),
        among=NOT_FINAL,
        **change_options,
    )


def _cancelled(queue: Queue, job: Job) -> str:
    if not job.cancel_requested:
        return _is(job)
    with queue.read() as tx:
        worker = workers.get(tx, job.worker or "")
    if living_workers(queue.store, [worker] if worker else []):
        return "is running; asked its worker to stop it"
    return with_named_db(
        "is cancelled once another worker runs; its own is dead: queuectl worker start"
    )


@click.command(
    "retry",
    epilog=options.examples(
        "queuectl retry last",
        "queuectl retry --queue default --yes --reason 'the server is back'",
    ),
)
@takes_jobs
def retry_command(queue: Queue, out: Printer, chosen: JobSelection, **change_options: Any) -> None:
    """Run jobs now that wait for a retry or a delay, or are dead."""
    change(queue, out, chosen, Retry, "retry", _is, among=WAITING, **change_options)


def _is(job: Job) -> str:
    return f"is {job.state}"
