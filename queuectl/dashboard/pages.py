"""The HTML pages. Each reads one state of the queue and changes nothing."""

import time

import msgspec
from flask import Blueprint, abort, current_app, render_template
from flask.typing import ResponseReturnValue

from eventstore.events.recorded import EVENT_TYPES
from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import STATES
from projections.read_models import jobs as jobs_model

from . import chart, printed, views
from .asked import JobsAsked, attempt_asked, events_asked, jobs_asked
from .source import Source

pages = Blueprint("pages", __name__)


def source() -> Source:
    """The queue file of this server."""
    found: Source = current_app.extensions["queue"]
    return found


def now_us() -> int:
    """For ages and charts only: nothing that is recorded comes from here."""
    return time.time_ns() // 1000


def page(tx: SqliteReader, template: str, **values: object) -> str:
    """A page in its frame."""
    return render_template(template, frame=views.frame(tx), now=now_us(), states=STATES, **values)


@pages.get("/")
def overview() -> ResponseReturnValue:
    """The queue at a glance."""
    with source().read() as tx:
        seen = views.overview(tx, now_us())
        drawn = chart.throughput(seen.minutes, now_us())
        return page(tx, "overview.html", seen=seen, chart=drawn)


@pages.get("/jobs")
def jobs() -> ResponseReturnValue:
    """All jobs, filtered, newest first."""
    asked = jobs_asked()
    with source().read() as tx:
        return _list(tx, "jobs.html", asked)


@pages.get("/dlq")
def dlq() -> ResponseReturnValue:
    """The dead letters, newest first."""
    asked = msgspec.structs.replace(jobs_asked(), states=("dead",))
    with source().read() as tx:
        return _list(tx, "dlq.html", asked)


def _list(tx: SqliteReader, template: str, asked: JobsAsked) -> str:
    found = views.job_list(tx, asked.filter, asked.before, asked.limit)
    return page(tx, template, asked=asked, found=found, queues=views.queues(tx))


@pages.get("/jobs/<job_id>")
def job(job_id: str) -> ResponseReturnValue:
    """One job: its attempts, its output, and everything that happened to it."""
    with source().read() as tx:
        seen = views.job_page(tx, job_id)
        if seen is None:
            abort(404, f"There is no job {job_id}.")
        attempt = attempt_asked() or seen.job.attempt
        if attempt > seen.job.attempt:
            abort(404, f"Job {job_id} has no attempt {attempt}.")
        total = next((run.output_bytes for run in seen.runs if run.attempt == attempt), None)
        return page(
            tx,
            "job.html",
            seen=seen,
            attempt=attempt,
            output=printed.last(tx, source(), job_id, attempt, total),
            life=[] if seen.earlier else chart.life(seen.events, now_us()),
        )


@pages.get("/workers")
def workers() -> ResponseReturnValue:
    """Who works on what, and who last did."""
    with source().read() as tx:
        return page(tx, "workers.html", seen=views.worker_list(tx))


@pages.get("/events")
def events() -> ResponseReturnValue:
    """The log itself, newest first."""
    asked = events_asked()
    with source().read() as tx:
        found = views.event_list(tx, asked.stream, asked.type, asked.before, asked.limit)
        job = jobs_model.get(tx, asked.stream) if asked.stream else None
        return page(tx, "events.html", asked=asked, found=found, types=sorted(EVENT_TYPES), job=job)
