"""`worker`: run one, see them, stop them.

Each subcommand imports what it needs: `worker start` needs all of it, the others little.
"""

from typing import TYPE_CHECKING, Literal

import click

from ..ui import options
from ..ui.invocation import named_db
from ..ui.param_types import Whole
from ..ui.printer import Printer, line, note
from ..ui.recorded import answering

if TYPE_CHECKING:
    from projections.folds.worker import Worker

    from ...api import Queue
    from ...core.snapshot import Reading

ENDED_SHOWN = 100
"""Ended workers that `worker list --all` goes back."""

CHECK_S = 1.0
"""How often to see whether a worker that is to stop has died instead."""


@click.group("worker")
def worker_command() -> None:
    """Start, list and stop workers."""


@worker_command.command(
    "start",
    epilog=options.examples(
        "queuectl worker start --count 4",
        "queuectl worker start --queue encodes --queue default",
        "queuectl worker start --until-empty",
    ),
)
@click.option(
    "--count",
    "-n",
    metavar="N",
    type=Whole(1, 1000),
    default=1,
    help="Number of jobs to run at a time [default: 1].",
)
@click.option(
    "--queue",
    "queues",
    metavar="Q",
    shell_complete=options.completed_by("queues"),
    multiple=True,
    help="Serve only this queue (repeatable).",
)
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
    wanted = Options(
        slots=count,
        queues=queues,
        until_empty=until_empty,
        until_idle=until_idle,
        name=name,
        verbose=verbose,
        quiet=quiet,
        fail_on_dead=fail_on_dead,
    )
    return run_worker(named_db(), wanted)


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
    from ..ui.columns import WORKER_COLUMNS, WorkerRow

    with reading.read() as tx:
        found = workers.newest(tx, ENDED_SHOWN) if ended_too else workers.active(tx)
        running = {one.id: tuple(job.id for job in jobs.of_worker(tx, one.id)) for one in found}
        position = tx.head().position
    shapes = [worker_shape(one, running[one.id]) for one in found]
    if out.form == "json":
        out.document(WorkerPage(position=position, workers=shapes))
    elif out.form == "jsonl":
        out.documents(shapes)
    else:
        rows = [WorkerRow(worker, running[worker.id]) for worker in found]
        out.table(
            WORKER_COLUMNS, rows, none="No worker is running. Start one: queuectl worker start"
        )


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
    stopping = _chosen(queue, worker)
    if not stopping:
        note("No worker is running.")
        return
    how: Literal["now", "drain"] = "now" if now else "drain"
    _ask(queue, stopping, how, reason)
    waited_for = [worker for worker in stopping if not _runs_us(queue, worker)]
    _await_end(queue, waited_for, how, reason)


def _ask(
    queue: "Queue", stopping: "list[Worker]", how: Literal["drain", "now"], reason: str | None
) -> None:
    """Record the request for each; one that has ended meanwhile needs none."""
    from ...core.requests import RequestStop

    with queue.write() as session:
        for worker in stopping:
            session.send(RequestStop(worker_id=worker.id, how=how, reason=reason))


def _runs_us(queue: "Queue", worker: "Worker") -> bool:
    """Whether this command is part of a job of that worker, which would wait for us in turn."""
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


def _chosen(queue: "Queue", named: str | None) -> "list[Worker]":
    """The active workers with this id or name, or all; none where it has ended already."""
    from projections.read_models import workers

    from ...errors import NoSuchWorker

    with queue.read() as tx:
        active = workers.active(tx)
        if named is None:
            return active
        found = [one for one in active if named in (one.id, one.started.name)]
        if found:
            return found
        if (ended := workers.get(tx, named)) is None:
            raise NoSuchWorker(named)
    note(f"worker {ended.id} is already {ended.state}")
    return []


def _await_end(
    queue: "Queue", stopping: "list[Worker]", how: Literal["drain", "now"], reason: str | None
) -> None:
    """Wait until each has ended; what a dead one had claimed is put back in line.

    The keeper of a lost worker may start another in its place: that one is asked to stop, too.
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
            waited_for = {one.id for one in (*stopping, *lost)}
            for hold_up in hold_ups:
                if hold_up.worker.id in waited_for and (words := hold_up.look()):
                    note(words)
            for one in stopping:
                if take_over(queue, one, found_by=queue.actor) is not None:
                    note(f"worker {one.id} had died; its jobs were requeued")
            ended = _ended(reading, stopping)
            for one in ended:
                _answer(f"worker {one.id} is {one.state}")
            gone = {one.id for one in ended}
            stopping = [one for one in stopping if one.id not in gone]
            lost += [one for one in ended if one.state == "lost"]
            successors, lost = _successors(reading, lost)
            known = {worker.id for worker in stopping}
            successors = [worker for worker in successors if worker.id not in known]
            if successors:
                _ask(queue, successors, how, reason)
            for successor in successors:
                note(f"its keeper has started worker {successor.id}; asked it to stop as well")
            hold_ups += [HoldUp(queue, successor, force=how == "now") for successor in successors]
            stopping += successors
            if stopping or lost:
                reading.await_more(CHECK_S)
    finally:
        reading.close()


def _successors(reading: "Reading", lost: "list[Worker]") -> "tuple[list[Worker], list[Worker]]":
    """The active workers of the keepers of these, and those whose living keeper has none yet."""
    from projections.read_models import workers

    from ...worker.takeover import keeper_lives, keeper_of

    living = [one for one in lost if keeper_lives(one)]  # before the log: it may end in order
    with reading.read() as tx:
        active = {keeper_of(one): one for one in workers.active(tx)}
    successors = {
        keeper_of(one): active[keeper_of(one)] for one in lost if keeper_of(one) in active
    }
    return list(successors.values()), [one for one in living if keeper_of(one) not in successors]


def _answer(text: str) -> None:
    with answering(lambda: text):
        line(text)


def _ended(reading: "Reading", among: "list[Worker]") -> "list[Worker]":
    from projections.read_models import workers

    with reading.read() as tx:
        now = [workers.get(tx, one.id) for one in among]
    return [one for one in now if one is not None and not one.active]
