"""Functions of the subcommands that write: send requests, ask first, or only try (`--dry-run`)."""

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import click

from eventstore.events.recorded import Recorded
from projections.folds.job import Job
from projections.read_models import workers

from ... import exit_codes
from ...api import Queue
from ...core.requests import JobRequest
from ...core.transaction import Session
from ...errors import QueueError
from ...text.hints import no_worker
from .living_workers import living_workers
from .printer import Printer, line, note
from .recorded import answering, jobs_in_short

T = TypeVar("T")


class _Rehearsed(Exception):
    """Rolls back the transaction of a rehearsal."""


def unless_refused(answer: T | QueueError) -> T:
    """Return the answer, or raise it if it is a refusal."""
    if isinstance(answer, QueueError):
        raise answer
    return answer


def rehearse(queue: Queue, out: Printer, act: Callable[[Session], object]) -> None:
    """Print the events that `act` would append, and record nothing."""
    from ...json_shapes import EventPage, event_shape
    from .columns import EVENT_COLUMNS

    recorded: list[Recorded] = []
    position = 0
    with suppress(_Rehearsed), queue.write() as session:
        position = session.tx.head().position
        act(session)
        recorded = list(session.tx.events(after=position))
        raise _Rehearsed
    if out.form == "json":
        events = [event_shape(event) for event in recorded]
        out.document(EventPage(position=position, events=events, next=None))
    else:
        out.table(EVENT_COLUMNS, recorded, none="Nothing would change.")


def change_jobs(
    queue: Queue,
    out: Printer,
    requests: Iterable[JobRequest],
    sentence: Callable[[Job], str],
    *,
    dry_run: bool,
) -> None:
    """Send the requests in one transaction, all or nothing, and print the jobs after the change.

    A terminal also gets a hint if no worker would run the jobs that are pending now.

    sentence: returns the line about a job for a terminal.
    """
    describe: Callable[[Job], Any] = sentence if out.terminal else id_and_state
    if out.form == "json":
        from ...json_shapes import job_shape as describe

    pending_queues: set[str] = set()

    def act(session: Session) -> list[tuple[str, Any]]:
        """Return the id of each job, with its line or its JSON shape."""
        ask: Callable[[JobRequest], Job | QueueError] = session.send
        rows = []
        for request in requests:
            job = unless_refused(ask(request))
            if job.state == "pending":
                pending_queues.add(job.spec.queue)
            rows.append((job.id, describe(job)))
        return rows

    if dry_run:
        rehearse(queue, out, act)
        return
    with queue.write() as session:
        changed = act(session)
        position, _ = session.tx.last
        active = workers.active(session.tx) if out.terminal and pending_queues else []
    living = living_workers(queue.store, active)
    with answering(lambda: f"the change of {jobs_in_short([job_id for job_id, _ in changed])}"):
        if out.form == "json":
            from .json_answers import Changed

            out.document(Changed(position=position, jobs=[shape for _, shape in changed]))
        else:
            for _, text in changed:
                line(text)
        if pending_queues:
            out.hint(no_worker(living, pending_queues) or "")
    if not changed:
        note("No matching jobs; nothing changed.")


def id_and_state(job: Job) -> str:
    """Return the line about a job in a pipe: its id and state, tab-separated."""
    return f"{job.id}\t{job.state}"


def confirm(out: Printer, count: int, verb: str, yes: bool) -> None:
    """On a terminal, ask for confirmation before changing more than one job.

    Raises click's Exit with code 1 if the answer is no.
    """
    if count <= 1 or yes or not out.terminal or not sys.stdin.isatty():
        return
    if not click.confirm(f"{verb} {count:,} jobs?", err=True):
        note("Nothing changed.")
        raise click.exceptions.Exit(exit_codes.NO)
