"""`wait`: wait until jobs have ended; the exit code says whether all of them completed."""

import sys
from collections.abc import Sequence

import click

from eventstore.store import Reader
from projections.folds.job import FINAL, STATES, Job, State

from ... import exit_codes
from ...core.job_waiting import wait_for
from ...core.snapshot import Reading
from ...errors import NotFound
from ...json_shapes import job_shape
from ...text.durations import duration_us
from ..ui import job_selection, options
from ..ui.idle_notice import IdleNotice
from ..ui.job_selection import JobSelection
from ..ui.json_answers import Changed
from ..ui.mutations import id_and_state
from ..ui.printer import Printer, line, note
from ..ui.progress import ProgressDisplay

REFRESH_S = 1.0
"""Seconds between two updates of the progress bar on a terminal."""

OPEN: tuple[State, ...] = tuple(state for state in STATES if state not in FINAL)


@click.command(
    "wait",
    epilog=options.examples(
        "queuectl wait last",
        "queuectl wait 1-3 --timeout 1h",
        "queuectl wait --all --ignore-failures",
    ),
)
@job_selection.selector_options
@click.option(
    "--open", "open_only", is_flag=True, help="Only jobs that have not ended yet (as --all does)."
)
@click.option("--any", "any_of", is_flag=True, help="Return when the first job ends.")
@click.option("--ignore-failures", is_flag=True, help="Exit 0 however the jobs end.")
@click.option("--timeout", metavar="D", help="Wait at most this long: 90 (seconds), 5m, 1h30m.")
@options.printer
@options.reading
def wait_command(
    reading: Reading,
    out: Printer,
    chosen: JobSelection,
    open_only: bool,
    any_of: bool,
    ignore_failures: bool,
    timeout: str | None,
) -> int:
    """Wait until jobs end; exit 1 if one of them did not complete."""
    timeout_s = None if timeout is None else duration_us(timeout) / 1_000_000
    open_only = open_only or chosen.everything
    with reading.read() as tx:
        ids = _ids(tx, chosen, open_only)
    if not ids:
        if not open_only:
            raise NotFound("no matching jobs; nothing to wait for")
        note("No open jobs; nothing to wait for.")
    reading.watch_output()
    jobs = _wait(reading, ids, timeout_s, any_of and bool(ids))
    done = [job for job in jobs if job.state in FINAL]
    _print(reading, out, done)
    succeeded = ignore_failures or all(job.state == "completed" for job in done)
    return exit_codes.DONE if succeeded else exit_codes.NO


def _wait(reading: Reading, ids: Sequence[str], timeout_s: float | None, any_of: bool) -> list[Job]:
    """Wait, and return the jobs.

    While waiting, print a note on stderr if no worker would run them, and on a terminal the
    progress.
    """
    idle = IdleNotice()
    with ProgressDisplay("waiting", "elapsed") as progress:

        def report(tx: Reader, waiting: Sequence[Job]) -> None:
            idle.say(reading, tx, waiting)
            progress.show(len(ids) - len(waiting), len(ids))

        check_s = REFRESH_S if sys.stderr.isatty() else None
        return wait_for(
            reading, ids, timeout_s=timeout_s, any_of=any_of, on_check=report, check_s=check_s
        )


def _ids(tx: Reader, chosen: JobSelection, open_only: bool) -> list[str]:
    """Return the ids of the jobs to wait for.

    A filter without a state also matches jobs that have ended, so that their failures count;
    `open_only` leaves them out.
    """
    ids = chosen.ids(tx, among=OPEN if open_only else ())
    if not open_only or chosen.filter is not None:
        return ids
    return [job_id for job_id in ids if job_selection.existing_job(tx, job_id).state in OPEN]


def _print(reading: Reading, out: Printer, done: Sequence[Job]) -> None:
    if out.form == "json":
        with reading.read() as tx:
            position = tx.head().position
        out.document(Changed(position=position, jobs=[job_shape(job) for job in done]))
    else:
        for job in done:
            line(f"job {job.id} is {job.state}" if out.terminal else id_and_state(job))
