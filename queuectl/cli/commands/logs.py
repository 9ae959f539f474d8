"""`logs`: print the output of an attempt, byte for byte; on a terminal as harmless text."""

import sys
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import click

from eventstore.events.job import Cancelled, Failed, Succeeded
from eventstore.output_files import Piece, head_bytes
from eventstore.store import StoredOutput
from projections.folds.job import FINAL, Job
from projections.read_models import contexts, runs, workers
from projections.read_models.runs import Run

from ...core.job_waiting import refuse_own_job
from ...core.snapshot import Reading
from ...errors import NotFound
from ...escape import quoted, visible
from ...json_shapes import path_of
from ...outputs.reader import kept_output, last_lines
from ...text.durations import duration
from ...text.hints import missing_program
from ...text.numbers import plural
from ...text.outcomes import outcome
from ...text.sizes import size
from ..ui import options
from ..ui.idle_notice import IdleNotice
from ..ui.invocation import with_named_db
from ..ui.job_output import Sink, sink
from ..ui.job_selection import existing_job
from ..ui.param_types import Whole
from ..ui.printer import note

MISSING = "[the output that was kept is missing]"

POLL_S, POLL_ELSEWHERE_S = 0.2, 1.0
"""Seconds between two reads while an attempt runs: a worker announces no output on its machine,
and on others only if it knows that somebody follows it.
"""

ARRIVAL_US = 10_000_000
"""How long after the end of an attempt on another machine the rest of its output may arrive."""


class AttemptView(NamedTuple):
    """The state of an attempt in one snapshot of the queue.

    The files with its output are read later, so they contain all output up to this snapshot.
    """

    job: Job
    attempt: int
    ended: bool
    output: StoredOutput | None
    """The recorded output; None while the attempt runs."""


@click.command(
    "logs", epilog=options.examples("queuectl logs last", "queuectl logs last --tail 20 -f")
)
@click.argument("job", metavar="JOB", shell_complete=options.completed_by("job_ids"))
@click.option("--attempt", metavar="N", type=Whole(1), help="Attempt number [default: latest].")
@click.option("--tail", "-n", "lines", metavar="N", type=Whole(1), help="Only the last N lines.")
@click.option("--follow", "-f", is_flag=True, help="Follow until the job finishes, across retries.")
@options.reading
def logs_command(
    reading: Reading, job: str, attempt: int | None, lines: int | None, follow: bool
) -> None:
    """Show a job's output (raw bytes when piped)."""
    with reading.read() as tx:
        state = existing_job(tx, job)
        if follow:
            refuse_own_job(tx, reading.location, state.id)
    if attempt is not None and attempt > state.attempt:
        has = f"has only {plural(state.attempt, 'attempt')}" if state.attempt else "has not run yet"
        raise NotFound(f"job {visible(state.id)} {has}")
    if not state.attempt and not follow:
        note(with_named_db(f"job {state.id} has not run yet; see queuectl show {quoted(state.id)}"))
        return
    view = _read_view(reading, state.id, attempt or max(state.attempt, 1))
    _await_rest(reading, view)
    with sink(live=follow) as to:
        printed = _print(to, reading, view, 0, lines)
        if follow:
            _follow(to, reading, view, printed, only_attempt=attempt)
            return
    if (run := _run(reading, view)) is not None and run.error:
        _say_unstarted(reading, run, view.job)
    elif not printed and run is not None and run.kept_bytes:
        note(MISSING)
    elif not printed and sys.stdout.isatty():
        note("No output." if view.ended else "No output yet.")
    if run is not None and run.reason == "worker-lost":
        _say_elsewhere(reading, run, view.job)
    elif not view.ended:
        _say_unsent(reading, view, printed)


def _run(reading: Reading, view: AttemptView) -> Run | None:
    with reading.read() as tx:
        attempts = runs.of_job(tx, view.job.born)
    return next((run for run in attempts if run.attempt == view.attempt), None)


def _say_elsewhere(reading: Reading, run: Run, job: Job) -> None:
    """Print where the rest of the output of a lost worker may be, if not on this machine."""
    if reading.store is None or reading.store.writes_here(job.id, run.attempt):
        return
    with reading.read() as tx:
        worker = workers.get(tx, run.worker)
    host = visible(worker.started.host) if worker else "its machine"
    note(f"[the worker was lost; later output may be on {host}]")


def _say_unsent(reading: Reading, view: AttemptView, printed: int) -> None:
    """Print where later output is, if another machine has sent all that it sends for now."""
    store, limit_bytes = reading.store, view.job.spec.output_limit_bytes
    if store is None or store.writes_here(view.job.id, view.attempt):
        return
    if printed >= head_bytes(limit_bytes):
        note("[later output is on the worker's machine; see it with -f, or when the job has ended]")


def _await_rest(reading: Reading, view: AttemptView) -> None:
    """Wait until the output of an attempt that has just ended has arrived from another machine."""
    if not view.ended or view.output is None or view.output.kept is not None:
        return
    run = _run(reading, view)
    if run is None or run.kept_bytes is None or run.ended_at_us is None or reading.store is None:
        return
    end_us = run.ended_at_us + ARRIVAL_US
    while _has_not_arrived(reading, view, run.kept_bytes) and reading.store.wall_us() < end_us:
        reading.await_more(POLL_S)


def _has_not_arrived(reading: Reading, view: AttemptView, kept_bytes: int) -> bool:
    """Return whether a part of the kept output is still on the machine of the worker."""
    if reading.store is None or view.output is None or view.output.kept is not None:
        return False
    return not reading.store.has_all(view.job.id, view.attempt, kept_bytes)


def _say_unstarted(reading: Reading, run: Run, job: Job) -> None:
    """Print why the system could not start an attempt, which therefore has no output."""
    note(f"attempt {run.attempt} of job {job.id} never started: {outcome(run)}")
    if run.reason == "not-found":
        with reading.read() as tx:
            path = path_of(job.spec, contexts.get(tx, job.spec.context))
        note(with_named_db(missing_program(job.spec, path)))


def _follow(
    to: Sink, reading: Reading, view: AttemptView, printed: int, only_attempt: int | None
) -> None:
    """Print output when it arrives, until the job has ended, or its attempt `only_attempt`.

    printed: the offset in the output of the attempt up to which it has been printed.
    """
    idle = IdleNotice()
    reading.listen()
    reading.watch_output()
    while not (
        view.ended
        and (only_attempt or view.job.state in FINAL)
        and not _has_later_attempt(view, only_attempt)
    ):
        attempt = view.attempt
        if _has_later_attempt(view, only_attempt):
            _say_ended(to, reading, view)
            attempt, printed = attempt + 1, 0
            _note(to, f"[attempt {attempt}]")
        else:
            _say_idle(to, reading, idle, view)
            reading.await_more(None if view.ended else _poll_s(reading, view))
        view = _read_view(reading, view.job.id, attempt)
        _await_rest(reading, view)
        printed = _print(to, reading, view, printed, None)
    _say_ended(to, reading, view)
    if view.job.state in FINAL and view.attempt >= view.job.attempt:
        _note(to, f"[job {view.job.id} is {view.job.state}]")


def _poll_s(reading: Reading, view: AttemptView) -> float:
    """Follow the output of an attempt that runs; return after how long to read it again."""
    store = reading.store
    if store is None or store.writes_here(view.job.id, view.attempt):
        return POLL_S
    store.follow_output(view.job.id, view.attempt)
    return POLL_ELSEWHERE_S


def _say_idle(to: Sink, reading: Reading, idle: IdleNotice, view: AttemptView) -> None:
    if view.ended:
        to.pause()
    with reading.read() as tx:
        idle.say(reading, tx, [view.job], partial(_note, to))


def _say_ended(to: Sink, reading: Reading, view: AttemptView) -> None:
    """Print how the attempt ended; nothing if there was no attempt."""
    run = _run(reading, view)
    if run is not None and run.error:
        to.pause()
        _say_unstarted(reading, run, view.job)
    elif run is not None:
        took = f" after {duration(run.duration_us)}" if run.duration_us else ""
        _note(to, f"[attempt {run.attempt} {outcome(run)}{took}]")


def _note(to: Sink, text: str) -> None:
    to.pause()
    note(text)


def _has_later_attempt(view: AttemptView, only_attempt: int | None) -> bool:
    """Return whether the job has a later attempt whose output is to be printed next."""
    return only_attempt is None and view.job.attempt > view.attempt


def _read_view(reading: Reading, job_id: str, attempt: int) -> AttemptView:
    with reading.read() as tx:
        job = existing_job(tx, job_id)
        runs = job.state == "processing" and job.attempt == attempt
        return AttemptView(job, attempt, not runs, tx.output(job_id, attempt))


def _print(to: Sink, reading: Reading, view: AttemptView, from_byte: int, lines: int | None) -> int:
    """Print the output from offset `from_byte` on. Return the offset after the last byte.

    lines: the number of last lines to print; None for all.
    """
    printed: Iterable[Piece] = kept_output(
        view.output, reading.store, view.job.id, view.attempt, from_byte
    )
    if lines is not None:
        printed = last_lines(printed, lines)
    began, size_bytes, digest = from_byte, 0, sha256()
    for piece in printed:
        _say_missing(to, piece.missing_bytes)
        to.write(piece.data)
        from_byte = piece.end
        size_bytes += len(piece.data)
        digest.update(piece.data)
    if view.ended and view.output:
        _say_missing(to, max(0, view.output.total_bytes - from_byte))
        from_byte = view.output.total_bytes
        if not began and (lines is None or not size_bytes):
            _say_damaged(to, reading, view, size_bytes, digest.hexdigest())
    return from_byte


def _say_damaged(
    to: Sink, reading: Reading, view: AttemptView, size_bytes: int, digest: str
) -> None:
    """Print a note if the output differs from what was recorded.

    A crash of the machine may cut a file or leave zeros in it.
    """
    for recorded in reading.events(stream=view.job.id):
        event = recorded.event
        if isinstance(event, Succeeded | Failed | Cancelled) and event.attempt == view.attempt:
            if _has_not_arrived(reading, view, event.kept_bytes):
                lost = size(event.kept_bytes - size_bytes)
                _note(to, f"[{lost} of the output did not arrive from the worker's machine]")
            elif not size_bytes and event.kept_bytes:
                _note(to, MISSING)
            elif size_bytes and event.output_sha256 != digest:
                _note(to, "[the output was damaged: this is not what the job printed]")
            return


def _say_missing(to: Sink, count: int) -> None:
    if count:
        _note(to, f"[{size(count)} not kept]")
