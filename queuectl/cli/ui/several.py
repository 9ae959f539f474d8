"""Functions of the subcommands that change several jobs: options, confirmation and change."""

from collections.abc import Callable

from projections.folds.job import Job, State

from ...api import Queue
from ...core.requests import Cancel, Discard, Retry, RetryDead
from . import job_selection, options
from .job_selection import JobSelection
from .mutations import change_jobs, confirm
from .printer import Printer


def takes_jobs(run: Callable[..., None]) -> Callable[..., None]:
    """Add `JOB...`, the filters and the options of a change. Pass the queue to the subcommand."""
    for add in (
        options.existing_queue,
        options.printer,
        options.yes,
        options.dry_run,
        options.reason,
        job_selection.selector_options,
    ):
        run = add(run)
    return run


def change(
    queue: Queue,
    out: Printer,
    chosen: JobSelection,
    request: type[Cancel | Retry | RetryDead | Discard],
    verb: str,
    became: Callable[[Job], str],
    *,
    among: tuple[State, ...],
    reason: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Send a request for each chosen job, once a person at a terminal has agreed.

    verb: the change, for the question. became: returns the words after `job ID` in the answer.
    among: the states that a filter is restricted to if it names none.
    """
    with queue.read() as tx:
        ids = chosen.ids(tx, among=among)
    confirm(out, len(ids), verb, yes or dry_run or chosen.by_id)
    requests = (request(job_id=job_id, reason=reason) for job_id in ids)
    change_jobs(queue, out, requests, lambda job: f"job {job.id} {became(job)}", dry_run=dry_run)
