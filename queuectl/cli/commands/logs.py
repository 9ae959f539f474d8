"""`logs`: what an attempt printed, byte for byte; on a terminal without what would act there."""

import sys
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

import click

from eventstore.events.job import Cancelled, Failed, Succeeded
from eventstore.sqlite import outputs
from eventstore.sqlite.outputs import StoredOutput
from projections.folds.job import FINAL, Job
from projections.read_models import contexts, runs
from projections.read_models.runs import Run

from ...core.job_waiting import refuse_itself
from ...core.snapshot import Reading
from ...errors import NotFound
from ...escape import quoted, visible
from ...json_shapes import path_of
from ...outputs.reader import Piece, kept_output, last_lines
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

POLL_S = 0.2
"""While something runs: what it prints rings no bell."""


class AttemptView(NamedTuple):
    """An attempt at one moment. Its output is read after this, so none of it is missed."""

    job: Job
    attempt: int
    ended: bool
    output: StoredOutput | None


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
        found = existing_job(tx, job)
        if follow:
            refuse_itself(tx, reading.location, found.id)
    if attempt is not None and attempt > found.attempt:
        has = f"has only {plural(found.attempt, 'attempt')}" if found.attempt else "has not run yet"
        raise NotFound(f"job {visible(found.id)} {has}")
    if not found.attempt and not follow:
        note(with_named_db(f"job {found.id} has not run yet; see queuectl show {quoted(found.id)}"))
        return
    seen = _look(reading, found.id, attempt or max(found.attempt, 1))
    with sink(live=follow) as to:
        printed = _print(to, reading, seen, 0, lines)
        if follow:
            _follow(to, reading, seen, printed, only=attempt)
            return
    if (run := _run(reading, seen)) is not None and run.error:
        _say_unstarted(reading, run, seen.job)
    elif not printed and sys.stdout.isatty():
        note("No output." if seen.ended else "No output yet.")


def _run(reading: Reading, seen: AttemptView) -> Run | None:
    with reading.read() as tx:
        attempts = runs.of_job(tx, seen.job.born)
    return next((run for run in attempts if run.attempt == seen.attempt), None)


def _say_unstarted(reading: Reading, run: Run, job: Job) -> None:
    """An attempt that the system did not start has printed nothing: why, instead."""
    note(f"attempt {run.attempt} of job {job.id} never started: {outcome(run)}")
    if run.reason == "not-found":
        with reading.read() as tx:
            path = path_of(job.spec, contexts.get(tx, job.spec.context))
        note(with_named_db(missing_program(job.spec, path)))


def _follow(to: Sink, reading: Reading, seen: AttemptView, printed: int, only: int | None) -> None:
    """Until the job has ended, or its attempt `only`."""
    idle = IdleNotice()
    reading.listen()
    reading.watch_output()
    while not (seen.ended and (only or seen.job.state in FINAL) and not _more(seen, only)):
        attempt = seen.attempt
        if _more(seen, only):
            _say_ended(to, reading, seen)
            attempt, printed = attempt + 1, 0
            _note(to, f"[attempt {attempt}]")
        else:
            _say_idle(to, reading, idle, seen)
            reading.await_more(None if seen.ended else POLL_S)
        seen = _look(reading, seen.job.id, attempt)
        printed = _print(to, reading, seen, printed, None)
    _say_ended(to, reading, seen)
    if seen.job.state in FINAL and seen.attempt >= seen.job.attempt:
        _note(to, f"[job {seen.job.id} is {seen.job.state}]")


def _say_idle(to: Sink, reading: Reading, idle: IdleNotice, seen: AttemptView) -> None:
    if seen.ended:
        to.pause()
        with reading.read() as tx:
            idle.say(tx, [seen.job])


def _say_ended(to: Sink, reading: Reading, seen: AttemptView) -> None:
    """How the attempt ended; nothing if there was none."""
    run = _run(reading, seen)
    if run is not None and run.error:
        to.pause()
        _say_unstarted(reading, run, seen.job)
    elif run is not None:
        took = f" after {duration(run.duration_us)}" if run.duration_us else ""
        _note(to, f"[attempt {run.attempt} {outcome(run)}{took}]")


def _note(to: Sink, text: str) -> None:
    to.pause()
    note(text)


def _more(seen: AttemptView, only: int | None) -> bool:
    """Whether this attempt has ended and another has begun."""
    return only is None and seen.job.attempt > seen.attempt


def _look(reading: Reading, job_id: str, attempt: int) -> AttemptView:
    with reading.read() as tx:
        job = existing_job(tx, job_id)
        runs = job.state == "processing" and job.attempt == attempt
        return AttemptView(job, attempt, not runs, outputs.get(tx, job_id, attempt))


def _print(to: Sink, reading: Reading, seen: AttemptView, since: int, lines: int | None) -> int:
    """Print from byte `since` on, of that the last `lines`. Returns up to where it was printed."""
    side_folder = reading.store.side_folder if reading.store else None
    printed: Iterable[Piece] = kept_output(
        seen.output, side_folder, seen.job.id, seen.attempt, since
    )
    if lines is not None:
        printed = last_lines(printed, lines)
    began, size_bytes, digest = since, 0, sha256()
    for piece in printed:
        _say_missing(to, piece.missing_bytes)
        to.write(piece.data)
        since = piece.end
        size_bytes += len(piece.data)
        digest.update(piece.data)
    if seen.ended and seen.output:
        _say_missing(to, max(0, seen.output.total_bytes - since))
        since = seen.output.total_bytes
        if seen.output.kept is None and not began:
            _say_damaged(to, reading, seen, size_bytes, digest.hexdigest())
    return since


def _say_damaged(
    to: Sink, reading: Reading, seen: AttemptView, size_bytes: int, digest: str
) -> None:
    """Where all that was kept is there, and is something else: a power cut may leave zeros."""
    for one in reading.events(stream=seen.job.id):
        event = one.event
        if isinstance(event, Succeeded | Failed | Cancelled) and event.attempt == seen.attempt:
            if event.kept_bytes == size_bytes and event.output_sha256 not in (None, digest):
                _note(to, "[the output file was damaged: this is not what the job printed]")
            return


def _say_missing(to: Sink, count: int) -> None:
    if count:
        _note(to, f"[{size(count)} not kept]")
