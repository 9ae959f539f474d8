"""`show`: print one job, its policy, its attempts, and why it waits."""

import shutil
from collections.abc import Iterator
from textwrap import wrap
from typing import NamedTuple

import click
import msgspec

from eventstore.store import Reader, Store
from projections.folds.context import Context
from projections.folds.job import Job
from projections.folds.worker import Worker
from projections.read_models import contexts, jobs, runs, workers
from projections.read_models.runs import Run

from ...core.clock import SystemClock
from ...core.decisions.job import runs_alone
from ...core.snapshot import Reading
from ...escape import quoted, visible
from ...input.job_options import option_lines
from ...json_shapes import JobDetail, JobDocument, job_detail, path_of
from ...text.durations import age
from ...text.exit_lists import zero_explained
from ...text.hints import missing_program, no_worker
from ...text.outcomes import stragglers
from ...text.processes import unendable_advice
from ...text.timestamps import ago, moment
from ..ui import options
from ..ui.columns import ATTEMPT_COLUMNS, failure_text, output_hint, state
from ..ui.invocation import with_named_db
from ..ui.job_selection import existing_job
from ..ui.living_workers import living_workers
from ..ui.printer import Printer, line

_START = "queuectl worker start"
SHELL_NOT_FOUND = 127
"""The exit code of a shell that did not find a command."""


class ShownJob(NamedTuple):
    """Everything that `show` prints about a job."""

    job: Job
    context: Context | None
    runs: list[Run]
    workers: list[Worker]
    """The workers that are alive."""
    run_alone: list[str]
    """Ids of the running jobs that this pending job waits for; see `_jobs_that_run_alone`."""
    unendable: list[str]
    """Advice about each process of the running attempt that the worker cannot end."""


@click.command("show", epilog=options.examples("queuectl show last", "queuectl show last --json"))
@click.argument("job", metavar="JOB", shell_complete=options.completed_by("job_ids"))
@options.printer
@options.reading
def show_command(reading: Reading, out: Printer, job: str) -> None:
    """Show one job: command, policy, attempts, and why it waits."""
    show_job(reading, out, job)


def show_job(reading: Reading, out: Printer, word: str, *, dead_only: bool = False) -> None:
    """Print the job that a word names. dead_only: whether `last` is the newest dead job."""
    with reading.read() as tx:
        view = _read_view(tx, existing_job(tx, word, dead_only=dead_only), reading)
        position = tx.head().position
    detail = job_detail(view.job, view.context, view.runs)
    if out.form == "json":
        out.document(JobDocument(position=position, job=detail))
    elif out.terminal:
        _print_for_terminal(out, view, SystemClock().wall_us())
    else:
        _print_plain(detail, view.unendable)


def _read_view(tx: Reader, job: Job, reading: Reading) -> ShownJob:
    context = contexts.get(tx, job.spec.context)
    active = workers.active(tx)
    living = living_workers(reading.store, active)
    stuck = _unendable(job, active, reading.store)
    run_alone = _jobs_that_run_alone(tx, job, living)
    return ShownJob(job, context, runs.of_job(tx, job.born), living, run_alone, stuck)


def _jobs_that_run_alone(tx: Reader, job: Job, living: list[Worker]) -> list[str]:
    """Return the ids of the running jobs that a pending job has to wait for.

    A job that becomes dead if it loses another worker runs alone: a worker runs only one such job
    at a time. Empty if the pending job is not such a job.
    """
    if job.state != "pending" or not runs_alone(job):
        return []
    return [
        other.id
        for worker in living
        for other in jobs.of_worker(tx, worker.id)
        if runs_alone(other)
    ]


def _unendable(job: Job, active: list[Worker], store: Store | None) -> list[str]:
    from ...worker import process_sweep
    from ...worker.process_mark import mark_of

    tokens = [worker.started.token for worker in active if worker.id == job.worker]
    if store is None or not tokens:
        return []
    processes = process_sweep.find_unendable({mark_of(store.key, tokens[0], job.id, job.attempt)})
    return [unendable_advice(*process) for process in processes]


def _print_plain(detail: JobDetail, unendable_processes: list[str]) -> None:
    """Print the name and the value of each field, tab-separated, then one line per attempt."""
    fields = msgspec.to_builtins(detail)
    attempts, policy = fields.pop("attempts"), fields.pop("policy")
    for name, value in {**fields, **policy}.items():
        line(f"{name}\t{_plain(value)}")
    for attempt in attempts:
        line("\t".join(("attempt", *map(_plain, attempt.values()))))
    for words in unendable_processes:
        line(f"stuck\t{words}")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{visible(key)}={visible(text)}" for key, text in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    text = "" if value is None else visible(str(value))
    return text.lower() if isinstance(value, bool) else text


def _print_for_terminal(out: Printer, view: ShownJob, now_us: int) -> None:
    job = view.job
    state_text = out.painted(state(job), job.state)
    line(f"job {visible(job.id)}  {state_text}, {ago(job.changed_at_us, now_us)}")
    width = shutil.get_terminal_size().columns
    for label, text in _fields(view, now_us):
        _print_field(label, visible(text), width)
    if view.runs:
        line()
        out.table(ATTEMPT_COLUMNS, view.runs)
    line()
    out.hint(_next_step(view, now_us))


def _print_field(label: str, text: str, width: int) -> None:
    """Print one field, wrapped at words. A command is not wrapped, so that it can be copied."""
    prefix = f"  {label:<10} "
    if label == "command":
        line(prefix + text)
    else:
        indent = " " * len(prefix)
        for part in wrap(text, width, initial_indent=prefix, subsequent_indent=indent):
            line(part)


def _fields(view: ShownJob, now_us: int) -> Iterator[tuple[str, str]]:
    job, spec = view.job, view.job.spec
    yield "command", spec.command
    if spec.name:
        yield "name", spec.name
    yield "queue", f"{spec.queue}, priority {spec.priority}" if spec.priority else spec.queue
    if spec.tags:
        yield "tags", " ".join(f"{key}={text}" for key, text in spec.tags.items())
    yield "enqueued", f"{moment(job.enqueued_at_us, now_us)}, {ago(job.enqueued_at_us, now_us)}"
    yield from option_lines(job)
    path = path_of(spec, view.context)
    if view.context:
        yield "directory", view.context.cwd
    if path:
        yield "PATH", path
    if spec.env:
        yield "variables", " ".join(spec.env)
    for run in view.runs:
        if processes := stragglers(run.stragglers, run.straggler_names):
            yield f"attempt {run.attempt}", processes
    for words in view.unendable:
        yield "stuck", words
    if failure_text(job):
        yield "last ended", f"{failure_text(job)}{zero_explained(job)}"
    if job.failure == "not-found" or (job.failure == "exit" and job.exit_code == SHELL_NOT_FOUND):
        yield "hint", with_named_db(missing_program(spec, path))


def _next_step(view: ShownJob, now_us: int) -> str:
    """Return why the job waits, or what to do next."""
    job = view.job
    match job.state:
        case "pending":
            return _why_pending(view)
        case "processing":
            if not any(worker.id == job.worker for worker in view.workers):
                return f"worker {job.worker} is dead; the next worker requeues the job: {_START}"
            return f"running on worker {job.worker} · queuectl logs {quoted(job.id)} -f"
        case "failed" | "scheduled":
            return _when_due(view, now_us)
        case "dead":
            first = f"retry: queuectl dlq retry {quoted(job.id)}"
        case _:
            first = f"history: queuectl history {quoted(job.id)}"
    return " · ".join((first, *output_hint(view.runs, job)))


def _when_due(view: ShownJob, now_us: int) -> str:
    due_us = view.job.due_at_us
    assert due_us is not None
    attempt = "first attempt" if view.job.state == "scheduled" else "next attempt"
    if due_us > now_us:
        return (
            f"{attempt} {ago(due_us, now_us)}, at {moment(due_us, now_us)}"
            f" · run it now: queuectl retry {quoted(view.job.id)}"
        )
    if not view.workers:
        return (
            f"overdue since {moment(due_us, now_us)} ({age(now_us - due_us)})"
            f" · {_why_pending(view)}"
        )
    return f"{attempt} was due {ago(due_us, now_us)} · {_why_pending(view)}"


def _why_pending(view: ShownJob) -> str:
    missing = no_worker(view.workers, [view.job.spec.queue])
    if missing:
        return missing
    if view.run_alone:
        return (
            f"Its worker was lost {view.job.lost_in_row} times in a row; a worker runs such jobs"
            f" one at a time, now job {', '.join(view.run_alone)}"
        )
    return "Waiting for a free slot: queuectl worker list"
