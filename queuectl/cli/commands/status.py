"""`status`: print counts of jobs and runs, the workers, the oldest waiting job, and the head."""

import click

from eventstore.store import Reader, Store
from projections.folds.job import Job, State
from projections.folds.worker import Worker
from projections.read_models import counts, jobs, moves, ready, timers, workers
from projections.read_models.counts import Counts

from ...core.clock import SystemClock
from ...core.snapshot import Reading
from ...escape import visible
from ...text.durations import age
from ...text.hints import no_worker
from ...text.numbers import plural
from ...text.timestamps import ago
from ..ui import options
from ..ui.invocation import with_named_db
from ..ui.job_selection import say_if_unused
from ..ui.living_workers import living_workers, workers_elsewhere
from ..ui.printer import Printer, line
from ..ui.watch import watch

MAIN_STATES: tuple[State, ...] = ("pending", "processing", "completed", "failed", "dead")
"""The states that are always shown, in this order. Others are shown if a job is in them."""


@click.command("status", epilog=options.examples("queuectl status", "queuectl status --json"))
@options.queue_name("Count only this queue.")
@options.watch_option
@options.printer
@options.reading
def status_command(
    reading: Reading, out: Printer, queue: str | None, watch_s: float | None
) -> None:
    """Show job counts, run totals and workers."""

    def show() -> None:
        with reading.read() as tx:
            say_if_unused(tx, queue)
            if out.form == "json":
                _print_json(out, reading.store, tx, queue)
            else:
                _print_counts(counts.total(tx, queue))
                line(f"Queue: {visible(reading.location.name)} ({reading.location.reason})")
                _print_workers_and_head(out, reading.store, tx, queue)

    watch(reading, out, show, watch_s)


def _print_counts(total: Counts) -> None:
    line("Job counts by state:")
    for state in MAIN_STATES:
        line(f"  {state}: {total.states[state]}")
    line("Metrics summary:")
    line(f"  total_jobs: {total.total_jobs}")
    line(f"  success_runs: {total.success_runs}")
    line(f"  failed_runs: {total.failed_runs}")
    others = {state: n for state, n in total.states.items() if state not in MAIN_STATES and n}
    if others:
        line("Other states:")
        for state, number in others.items():
            line(f"  {state}: {number}")


def _print_workers_and_head(
    out: Printer, store: Store | None, tx: Reader, queue_name: str | None
) -> None:
    """Print the workers, the oldest waiting job, the next due time and the head, and hints."""
    now_us = SystemClock().wall_us()
    active = workers.active(tx)
    living = living_workers(store, active)
    elsewhere = workers_elsewhere(store, active)
    none = with_named_db("none (start one with: queuectl worker start)")
    if move := moves.move(tx):
        line(f"Moved: to {visible(move.to)}; this queue can only be read")
        none = "none"
    line(f"Workers: {len(living) or none}")
    for worker in active:
        claimed = len(jobs.of_worker(tx, worker.id))
        name = visible(worker.started.name)
        if worker.id in elsewhere:
            name += f" on {visible(worker.started.host)}"
        if worker in living:
            words = _busy(worker, name, claimed, now_us)
        else:
            words = _silent(name, claimed) if worker.id in elsewhere else _dead(name, claimed)
        line(f"  {visible(worker.id)}: {words}")
    if (oldest := _oldest(tx, queue_name)) is not None:
        line(f"Oldest waiting: job {visible(oldest.id)}, for {age(now_us - oldest.changed_at_us)}")
    if (due := timers.earliest(tx)) is not None:
        overdue = due <= now_us and not living
        when = (
            f"overdue for {age(now_us - due)}, no worker is running"
            if overdue
            else ago(due, now_us)
        )
        line(f"Next due: {when}")
    head = tx.head()
    line(f"Head: {head.position}:{head.hash}")
    if living:  # otherwise the line about workers says how to start one
        out.hint(no_worker(living, _pending_queues(tx, queue_name)) or "")
    if dead := counts.total(tx).states["dead"]:
        out.hint(f"{dead:,} dead - queuectl dlq list")


def _pending_queues(tx: Reader, queue_name: str | None) -> list[str]:
    """Return the names of the queues that have pending jobs, only `queue_name` if it is given."""
    return [
        name
        for name, counted in counts.by_queue(tx).items()
        if counted.states["pending"] and queue_name in (None, name)
    ]


def _oldest(tx: Reader, queue_name: str | None) -> Job | None:
    job_id = ready.oldest_waiting(tx, queue_name)
    return jobs.get(tx, job_id) if job_id else None


def _busy(worker: Worker, name: str, claimed: int, now_us: int) -> str:
    started = worker.started
    stopping = ", stopping" if worker.state == "stopping" else ""
    busy, ahead = min(claimed, started.slots), max(0, claimed - started.slots)
    waiting = f" and {ahead:,} more claimed ahead" if ahead else ""
    return (
        f"{name}, {busy} of {started.slots} slots busy{waiting},"
        f" started {ago(worker.started_at_us, now_us)}{stopping}"
    )


def _dead(name: str, claimed: int) -> str:
    claims = f"{plural(claimed, 'job')} claimed"
    return f"{name}, dead with {claims} (the next worker requeues them)"


def _silent(name: str, claimed: int) -> str:
    """Describe a worker on another machine that has not beaten for its lease."""
    claims = f"{plural(claimed, 'job')} claimed"
    return f"{name}, silent with {claims} (another worker requeues them after its lease)"


def _print_json(out: Printer, store: Store | None, tx: Reader, queue_name: str | None) -> None:
    from ...json_shapes import status_shape, worker_shape

    active = workers.active(tx)
    living = living_workers(store, active)
    shapes = [
        worker_shape(
            worker,
            alive=worker in living,
            jobs=tuple(job.id for job in jobs.of_worker(tx, worker.id)),
        )
        for worker in active
    ]
    oldest = _oldest(tx, queue_name)
    out.document(
        status_shape(tx.head(), counts.total(tx, queue_name), shapes, oldest, timers.earliest(tx))
    )
