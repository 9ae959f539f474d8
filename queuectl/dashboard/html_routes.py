"""The HTML pages. Each reads one state of the queue and changes nothing."""

import time

from flask import Blueprint, abort, current_app, render_template
from flask.typing import ResponseReturnValue

from eventstore.events.recorded import EVENT_TYPES
from eventstore.sqlite.reader import SqliteReader
from projections.folds.job import STATES
from projections.read_models import jobs as jobs_model
from projections.read_models import runs, throughput

from . import causes, charts, cockpit, job_output, queries
from .connections import Source
from .job_list import SORTS, job_list
from .query_params import (
    attempt_asked,
    before_asked,
    dlq_asked,
    events_asked,
    jobs_asked,
    span_asked,
    upcoming_asked,
)
from .settings_history import settings_page

GROUPS = 20
"""Groups of dead jobs on their page."""

pages = Blueprint("pages", __name__)


def source() -> Source:
    """The queue file of this server."""
    found: Source = current_app.extensions["queue"]
    return found


def ctl(*words: object) -> str:
    """The command line that a person types for this queue file."""
    line: str = current_app.jinja_env.globals["ctl"](*words)  # type: ignore[operator]
    return line


def now_us() -> int:
    """For ages and charts only: nothing that is recorded comes from here."""
    return time.time_ns() // 1000


def since_us(span: charts.Span, now: int) -> int:
    """The first instant that a chart of `span` shows, whose last bar is that of `now`."""
    step_us = span.minutes * throughput.MINUTE_US
    return (now // step_us - span.bars + 1) * step_us


def page(tx: SqliteReader, template: str, **values: object) -> str:
    """A page in its frame."""
    return render_template(template, frame=queries.frame(tx), now=now_us(), states=STATES, **values)


@pages.get("/")
def overview() -> ResponseReturnValue:
    """The queue at a glance."""
    span = span_asked()
    with source().read() as tx:
        seen = cockpit.overview(tx, source(), now_us())
        return page(tx, "overview.html", seen=seen, chart=_chart(tx, span), spans=charts.SPANS)


def _chart(tx: SqliteReader, span: charts.Span, queue: str | None = None) -> charts.Chart:
    now = now_us()
    steps = throughput.steps(tx, since_us(span, now), span.minutes, queue)
    return charts.throughput(span, steps, now)


@pages.get("/jobs")
def jobs() -> ResponseReturnValue:
    """All jobs, filtered and sorted."""
    asked = jobs_asked()
    with source().read() as tx:
        found = job_list(tx, asked.filter, asked.before, asked.limit, now_us(), asked.sort)
        return page(
            tx, "jobs.html", asked=asked, found=found, queues=queries.queues(tx), sorts=SORTS
        )


@pages.get("/dlq")
def dlq() -> ResponseReturnValue:
    """The dead jobs by cause, and one by one, newest first."""
    asked = dlq_asked()
    with source().read() as tx:
        found = job_list(tx, asked.filter, asked.before, asked.limit, now_us(), asked.sort)
        groups = [] if asked.is_part else causes.causes(tx, source(), GROUPS)
        return page(tx, "dlq.html", asked=asked, found=found, groups=groups)


@pages.get("/jobs/<job_id>")
def job(job_id: str) -> ResponseReturnValue:
    """One job: its attempts, its output, and everything that happened to it."""
    with source().read() as tx:
        seen = queries.job_page(tx, job_id)
        if seen is None:
            abort(404, f"There is no job {job_id}.")
        attempt = attempt_asked() or seen.job.attempt
        if attempt > seen.job.attempt:
            abort(404, f"Job {job_id} has no attempt {attempt}.")
        run = runs.get(tx, seen.job.born, attempt)
        total = run.output_bytes if run else None
        return page(
            tx,
            "job.html",
            seen=seen,
            attempt=attempt,
            output=job_output.last(tx, source(), job_id, attempt, total),
            life=[] if seen.earlier else charts.life(seen.events, now_us()),
        )


@pages.get("/queues")
def queues() -> ResponseReturnValue:
    """The queues, those with most to do first."""
    with source().read() as tx:
        return page(tx, "queues.html", rows=cockpit.queue_rows(tx, now_us()))


@pages.get("/queues/<name>")
def queue(name: str) -> ResponseReturnValue:
    """One queue: what waits, runs and fails in it, and how fast it moves."""
    span = span_asked()
    with source().read() as tx:
        seen = cockpit.queue_page(tx, source(), name, now_us())
        if seen is None:
            abort(404, f"There is no queue {name}.")
        drawn = _chart(tx, span, name)
        return page(tx, "queue.html", seen=seen, chart=drawn, spans=charts.SPANS)


@pages.get("/upcoming")
def upcoming() -> ResponseReturnValue:
    """Retries and delayed jobs, soonest first."""
    asked = upcoming_asked()
    with source().read() as tx:
        found = cockpit.upcoming(tx, asked.after, asked.limit)
        return page(tx, "upcoming.html", asked=asked, found=found)


@pages.get("/settings")
def settings() -> ResponseReturnValue:
    """The settings in force, and every change of them."""
    before = before_asked()
    with source().read() as tx:
        return page(tx, "settings.html", found=settings_page(tx, before), before=before)


@pages.get("/workers")
def workers() -> ResponseReturnValue:
    """Who works on what, and who last did."""
    with source().read() as tx:
        return page(tx, "workers.html", seen=queries.worker_list(tx))


@pages.get("/events")
def events() -> ResponseReturnValue:
    """The log itself, newest first."""
    asked = events_asked()
    with source().read() as tx:
        found = queries.event_list(tx, asked.stream, asked.type, asked.before, asked.limit)
        job = jobs_model.get(tx, asked.stream) if asked.stream else None
        return page(tx, "events.html", asked=asked, found=found, types=sorted(EVENT_TYPES), job=job)
