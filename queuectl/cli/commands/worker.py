"""`worker`: start, list, stop and forget workers.

Each subcommand imports only the modules that it needs, because `worker start` needs nearly all of
them, and the other subcommands few.
"""

import sys
from typing import TYPE_CHECKING, Literal

import click

from ... import exit_codes
from ..ui import options
from ..ui.invocation import named_db
from ..ui.printer import Printer, line, note
from ..ui.recorded import answering

if TYPE_CHECKING:
    from projections.folds.worker import Worker

    from ...api import Queue
    from ...core.snapshot import Reading

ENDED_SHOWN = 100
"""The number of ended workers that `worker list --all` shows."""

CHECK_S = 1.0
"""Seconds between two checks whether a worker that should stop has died instead."""


@click.group("worker")
def worker_command() -> None:
    """Start, list, stop and forget workers."""


@worker_command.command(
    "start",
    epilog=options.examples(
        "queuectl worker start --count 4",
        "queuectl worker start --queue encodes --queue default",
        "queuectl worker start --until-empty",
    ),
)
@options.worker_options
@click.option(
    "--until-empty",
    is_flag=True,
    help="Exit when no jobs are pending, running, retrying or scheduled.",
)
@click.option(
    "--until-idle",
    is_flag=True,
    help="Exit when no job can run now; delayed jobs and retries that are not due do not count.",
)
@click.option(
    "--fail-on-dead", is_flag=True, help="Exit 1 if a job died while this worker was running."
)
@click.option("--name", metavar="W", help="Human-readable name.")
@click.option("--verbose", "-v", is_flag=True, help="Log every job even when not on a terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Print only dead jobs, warnings and errors.")
def start(
    count: int,
    queues: tuple[str, ...],
    until_empty: bool,
    until_idle: bool,
    fail_on_dead: bool,
    name: str | None,
    verbose: bool,
    quiet: bool,
) -> int:
    """Run a worker. Ctrl-C: finish running jobs and exit; twice: stop them."""
    from ...worker.start import Options, run_worker

    if until_empty and until_idle:
        raise click.UsageError("give either --until-empty or --until-idle, not both")
    if verbose and quiet:
        raise click.UsageError("give either --verbose or --quiet, not both")
    worker_options = Options(
        slots=count,
        queues=queues,
        until_empty=until_empty,
        until_idle=until_idle,
        name=name,
        verbose=verbose,
        quiet=quiet,
        fail_on_dead=fail_on_dead,
    )
    return run_worker(named_db(), worker_options)


@worker_command.command(
    "list", epilog=options.examples("queuectl worker list", "queuectl worker list --all --json")
)
@click.option(
    "--all", "ended_too", is_flag=True, help="Include the last 100 workers that have ended."
)
@options.list_printer
@options.reading
def list_(reading: "Reading", out: Printer, ended_too: bool) -> None:
    """List workers and the jobs they run."""
    from projections.read_models import jobs, workers

    from ...json_shapes import WorkerPage, worker_shape
    from ...text.hints import dead_workers
    from ..ui.columns import WORKER_COLUMNS, WorkerRow
    from ..ui.living_workers import living_workers, workers_elsewhere

    with reading.read() as tx:
        listed = workers.newest(tx, ENDED_SHOWN) if ended_too else workers.active(tx)
        claimed = {w.id: tuple(job.id for job in jobs.of_worker(tx, w.id)) for w in listed}
        position = tx.head().position
        active = [worker for worker in listed if worker.active]
        living = living_workers(reading.store, active)
        elsewhere = workers_elsewhere(reading.store, active)
    alive = {worker.id for worker in living}
    shapes = [
        worker_shape(worker, alive=worker.id in alive, jobs=claimed[worker.id]) for worker in listed
    ]
    if out.form == "json":
        out.document(WorkerPage(position=position, workers=shapes))
    elif out.form == "jsonl":
        out.documents(shapes)
    else:
        rows = [
            WorkerRow(worker, claimed[worker.id], worker.id in alive, worker.id in elsewhere)
            for worker in listed
        ]
        out.table(
            WORKER_COLUMNS, rows, none="No worker is running. Start one: queuectl worker start"
        )
        if dead := [row for row in rows if row.state == "dead"]:
            out.hint(dead_workers([row.worker for row in dead]))


@worker_command.command(
    "stop", epilog=options.examples("queuectl worker stop", "queuectl worker stop --now")
)
@click.argument(
    "worker", metavar="[W]", required=False, shell_complete=options.completed_by("worker_names")
)
@click.option(
    "--now", is_flag=True, help="Stop running jobs (SIGTERM, then SIGKILL); they are requeued."
)
@options.reason
@options.existing_queue
def stop(queue: "Queue", worker: str | None, now: bool, reason: str | None) -> None:
    """Stop one worker, or all, after their current jobs, and wait."""
    stopping = _workers_to_stop(queue, worker)
    if not stopping:
        note("No worker is running.")
        return
    how: Literal["now", "drain"] = "now" if now else "drain"
    _request_stop(queue, stopping, how, reason)
    waited_for = [worker for worker in stopping if not _runs_this_command(queue, worker)]
    _await_end(queue, waited_for, how, reason)


@worker_command.command("forget", epilog=options.examples("queuectl worker forget 3f2a1c"))
@click.argument("worker", metavar="W", shell_complete=options.completed_by("worker_names"))
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation on a terminal.")
@options.existing_queue
def forget(queue: "Queue", worker: str, yes: bool) -> None:
    """Requeue the jobs of a worker whose machine is gone."""
    from ...worker.takeover import forget

    for active in _workers_to_stop(queue, worker):
        risk = _risk(queue, active)
        if not yes and sys.stdin.isatty() and not click.confirm(f"{risk} Forget it?", err=True):
            note("Nothing changed.")
            raise click.exceptions.Exit(exit_codes.NO)
        job_ids = forget(queue, active, queue.actor)
        if not sys.stdin.isatty():
            note(risk)
        _answer(f"worker {active.id} is forgotten; {_outcome_of_jobs(queue, job_ids)}")


def _risk(queue: "Queue", worker: "Worker") -> str:
    """Return what is known of a worker that is to be forgotten, and what may follow."""
    from ...escape import visible
    from ...text.durations import duration

    beat_us = queue.store.last_beats().get(worker.id)
    known = "is not known to live"
    if beat_us is not None:
        known = f"showed {duration(queue.store.wall_us() - beat_us)} ago that it lives"
    return (
        f"worker {worker.id} on {visible(worker.started.host)} {known}; if it still runs, its jobs"
        " run twice until it notices."
    )


def _request_stop(
    queue: "Queue", stopping: "list[Worker]", how: Literal["drain", "now"], reason: str | None
) -> None:
    """Record a stop request for each worker, unless it has already ended."""
    from ...core.requests import RequestStop

    with queue.write() as session:
        for worker in stopping:
            session.send(RequestStop(worker_id=worker.id, how=how, reason=reason))


def _runs_this_command(queue: "Queue", worker: "Worker") -> bool:
    """Return whether this command runs in a job of that worker. If so, print a note.

    The worker waits for its jobs, so waiting for the worker would never end.
    """
    from ...core.job_waiting import running_here

    with queue.read() as tx:
        job = running_here(tx, queue.location)
    if job is None or job.worker != worker.id:
        return False
    note(
        f"worker {worker.id} runs this command, in job {job.id}:"
        " asked to stop, without waiting for it"
    )
    return True


def _workers_to_stop(queue: "Queue", id_or_name: str | None) -> "list[Worker]":
    """Return the active workers with this id or name; all active workers for None.

    Empty if the worker has already ended. Raises NoSuchWorker.
    """
    from projections.read_models import workers

    from ...errors import NoSuchWorker

    with queue.read() as tx:
        active = workers.active(tx)
        if id_or_name is None:
            return active
        matches = [w for w in active if id_or_name in (w.id, w.started.name)]
        if matches:
            return matches
        if (ended := workers.get(tx, id_or_name)) is None:
            raise NoSuchWorker(id_or_name)
    note(f"worker {ended.id} is already {ended.state}")
    return []


def _await_end(
    queue: "Queue", stopping: "list[Worker]", how: Literal["drain", "now"], reason: str | None
) -> None:
    """Wait until each worker has ended. The jobs of a dead worker are requeued.

    The keeper of a lost worker may start another worker. That one gets a stop request, too.
    """
    from ...core.snapshot import Reading
    from ...worker.stop_wait import HoldUp
    from ...worker.takeover import take_over

    reading = Reading(queue.location)
    reading.listen()
    hold_ups = [HoldUp(queue, worker, force=how == "now") for worker in stopping]
    lost: list[Worker] = []
    try:
        while stopping or lost:
            waited_for = {worker.id for worker in (*stopping, *lost)}
            for hold_up in hold_ups:
                if hold_up.worker.id in waited_for and (words := hold_up.look()):
                    note(words)
            for worker in stopping:
                if (job_ids := take_over(queue, worker, found_by=queue.actor)) is not None:
                    note(f"worker {worker.id} had died; {_outcome_of_jobs(queue, job_ids)}")
            ended = _ended(reading, stopping)
            for worker in ended:
                _answer(f"worker {worker.id} is {worker.state}")
            ended_ids = {worker.id for worker in ended}
            stopping = [worker for worker in stopping if worker.id not in ended_ids]
            lost += [worker for worker in ended if worker.state == "lost"]
            successors, lost = _successors(reading, lost)
            known = {worker.id for worker in stopping}
            successors = [worker for worker in successors if worker.id not in known]
            if successors:
                _request_stop(queue, successors, how, reason)
            for successor in successors:
                note(f"its keeper has started worker {successor.id}; asked it to stop as well")
            hold_ups += [HoldUp(queue, successor, force=how == "now") for successor in successors]
            stopping += successors
            if stopping or lost:
                reading.await_more(CHECK_S)
    finally:
        reading.close()


def _outcome_of_jobs(queue: "Queue", job_ids: list[str]) -> str:
    """Describe the jobs of a dead worker after the takeover: `2 jobs requeued, 1 job cancelled`."""
    from collections import Counter

    from projections.read_models import jobs

    from ...text.numbers import plural

    with queue.read() as tx:
        jobs_now = [job for job_id in job_ids if (job := jobs.get(tx, job_id))]
    counted = Counter("requeued" if job.state == "pending" else job.state for job in jobs_now)
    words = [f"{plural(number, 'job')} {became}" for became, number in counted.items()]
    return ", ".join(words) or "it had no jobs"


def _successors(reading: "Reading", lost: "list[Worker]") -> "tuple[list[Worker], list[Worker]]":
    """Return the successors of lost workers, and the lost workers that may still get a successor.

    The successor of a worker is the active worker of the same keeper. Without one, a lost worker
    may still get a successor while its keeper lives.
    """
    from projections.read_models import workers

    from ...worker.takeover import keeper_lives, keeper_of

    # Check the keepers before reading the log: a keeper that ends in between starts no more
    # workers, and the log has the last worker that it started.
    with_keeper = [worker for worker in lost if keeper_lives(worker)]
    with reading.read() as tx:
        active = {keeper_of(worker): worker for worker in workers.active(tx)}
    keepers = [keeper_of(worker) for worker in lost]
    successors = {keeper: active[keeper] for keeper in keepers if keeper in active}
    waiting = [worker for worker in with_keeper if keeper_of(worker) not in successors]
    return list(successors.values()), waiting


def _answer(text: str) -> None:
    with answering(lambda: text):
        line(text)


def _ended(reading: "Reading", among: "list[Worker]") -> "list[Worker]":
    from projections.read_models import workers

    with reading.read() as tx:
        current = [workers.get(tx, worker.id) for worker in among]
    return [worker for worker in current if worker is not None and not worker.active]
