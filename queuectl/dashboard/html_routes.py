"""The routes of the HTML pages. Each page is read from one snapshot of the queue."""

import time

from flask import Blueprint, abort, current_app, render_template
from flask.typing import ResponseReturnValue

from eventstore.events.recorded import EVENT_TYPES
from eventstore.store import Reader
from projections.folds.job import STATES
from projections.read_models import jobs as jobs_model
from projections.read_models import runs, throughput

from . import causes, charts, cockpit, job_output, queries
from .connections import Source
from .job_list import SORTS, job_list
from .query_params import (
    attempt_param,
    before_param,
    dlq_query,
    events_query,
    jobs_query,
    span_param,
    upcoming_query,
)
from .settings_history import settings_page

GROUPS_SHOWN = 20
"""Most groups to show on the page of dead jobs."""

html_blueprint = Blueprint("pages", __name__)


def source() -> Source:
    """Return the queue file of this server."""
    queue_file: Source = current_app.extensions["queue"]
    return queue_file


def ctl(*words: object) -> str:
    """Return the command line that a person types to run these words for this queue file."""
    line: str = current_app.jinja_env.globals["ctl"](*words)  # type: ignore[operator]
    return line


def now_us() -> int:
    """Return the current time, UTC in microseconds. Used for ages and charts, never recorded."""
    return time.time_ns() // 1000


def since_us(span: charts.Span, now: int) -> int:
    """Return the start of a chart of `span` whose last bar contains `now` (UTC, microseconds)."""
    step_us = span.minutes * throughput.MINUTE_US
    return (now // step_us - span.bars + 1) * step_us


def render_page(tx: Reader, template: str, **values: object) -> str:
    """Return a page with its header and menu."""
    frame = queries.frame(tx, source())
    return render_template(template, frame=frame, now=now_us(), states=STATES, **values)


@html_blueprint.get("/")
def overview() -> ResponseReturnValue:
    """Return the overview of all queues."""
    span = span_param()
    with source().read() as tx:
        view = cockpit.overview_page(tx, source(), now_us())
        return render_page(
            tx, "overview.html", view=view, chart=_chart(tx, span), spans=charts.SPANS
        )


def _chart(tx: Reader, span: charts.Span, queue: str | None = None) -> charts.Chart:
    now = now_us()
    steps = throughput.steps(tx, since_us(span, now), span.minutes, queue)
    return charts.throughput(span, steps, now)


@html_blueprint.get("/jobs")
def jobs() -> ResponseReturnValue:
    """Return the list of jobs, filtered and sorted."""
    query = jobs_query()
    with source().read() as tx:
        listing = job_list(tx, query.filter, query.before, query.limit, now_us(), query.sort)
        return render_page(
            tx,
            "jobs.html",
            query=query,
            listing=listing,
            queues=queries.queue_names(tx),
            sorts=SORTS,
        )


@html_blueprint.get("/dlq")
def dlq() -> ResponseReturnValue:
    """Return the page of dead jobs: grouped by cause, and as a list with the newest first."""
    query = dlq_query()
    with source().read() as tx:
        listing = job_list(tx, query.filter, query.before, query.limit, now_us(), query.sort)
        groups = [] if query.is_part else causes.dead_groups(tx, source(), GROUPS_SHOWN)
        return render_page(tx, "dlq.html", query=query, listing=listing, groups=groups)


@html_blueprint.get("/jobs/<job_id>")
def job(job_id: str) -> ResponseReturnValue:
    """Return the page of one job: its attempts, its output and its history."""
    with source().read() as tx:
        view = queries.job_view(tx, job_id)
        if view is None:
            abort(404, f"There is no job {job_id}.")
        attempt = attempt_param() or view.job.attempt
        if attempt > view.job.attempt:
            abort(404, f"Job {job_id} has no attempt {attempt}.")
        run = runs.get(tx, view.job.born, attempt)
        total = run.output_bytes if run else None
        return render_page(
            tx,
            "job.html",
            view=view,
            attempt=attempt,
            output=job_output.last_part(tx, source(), job_id, attempt, total),
            life=[] if view.earlier else charts.life(view.events, now_us()),
        )


@html_blueprint.get("/queues")
def queues() -> ResponseReturnValue:
    """Return the page of all queues: the ones with most unfinished jobs first."""
    with source().read() as tx:
        return render_page(tx, "queues.html", rows=cockpit.queue_rows(tx, now_us()))


@html_blueprint.get("/queues/<name>")
def queue(name: str) -> ResponseReturnValue:
    """Return the page of one queue: its running, pending and dead jobs, and its throughput."""
    span = span_param()
    with source().read() as tx:
        view = cockpit.queue_page(tx, source(), name, now_us())
        if view is None:
            abort(404, f"There is no queue {name}.")
        chart = _chart(tx, span, name)
        return render_page(tx, "queue.html", view=view, chart=chart, spans=charts.SPANS)


@html_blueprint.get("/upcoming")
def upcoming() -> ResponseReturnValue:
    """Return the page of retries and delayed jobs, soonest first."""
    query = upcoming_query()
    with source().read() as tx:
        listing = cockpit.due_jobs(tx, query.after, query.limit)
        return render_page(tx, "upcoming.html", query=query, listing=listing)


@html_blueprint.get("/settings")
def settings() -> ResponseReturnValue:
    """Return the page of the settings in force and their changes."""
    before = before_param()
    with source().read() as tx:
        return render_page(tx, "settings.html", settings=settings_page(tx, before), before=before)


@html_blueprint.get("/workers")
def workers() -> ResponseReturnValue:
    """Return the page of the workers with their jobs, and of the workers that ended last."""
    with source().read() as tx:
        return render_page(tx, "workers.html", view=queries.worker_list(tx, source()))


@html_blueprint.get("/events")
def events() -> ResponseReturnValue:
    """Return a page of the events of the log, newest first."""
    query = events_query()
    with source().read() as tx:
        listing = queries.event_list(tx, query.stream, query.type, query.before, query.limit)
        job = jobs_model.get(tx, query.stream) if query.stream else None
        return render_page(
            tx, "events.html", query=query, listing=listing, types=sorted(EVENT_TYPES), job=job
        )
