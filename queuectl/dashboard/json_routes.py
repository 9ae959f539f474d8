"""The routes for programs and scripts: pages as JSON, outputs as text, and the event stream."""

import re

import msgspec
from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from projections.read_models import jobs as jobs_model
from projections.read_models import throughput
from queuectl import json_shapes as common
from queuectl.text.numbers import LARGEST_INTEGER

from . import causes, cockpit, job_output, json_shapes, queries
from .html_routes import GROUPS_SHOWN, ctl, now_us, since_us, source
from .html_routes import job as job_page
from .html_routes import queue as queue_page
from .job_list import job_list
from .log_watcher import LogWatcher
from .query_params import (
    before_param,
    dlq_query,
    events_query,
    first_byte_param,
    is_download,
    jobs_query,
    last_position_param,
    shown_output_param,
    span_param,
    upcoming_query,
)
from .server_events import stream_events
from .settings_history import settings_page

json_blueprint = Blueprint("feeds", __name__)


def _answer(document: common.Document) -> Response:
    return Response(msgspec.json.encode(document) + b"\n", mimetype="application/json")


@json_blueprint.get("/status.json")
def status() -> Response:
    """Return the overview of all queues."""
    span = span_param()
    with source().read() as tx:
        now = now_us()
        frame = queries.frame(tx, source())
        view = cockpit.overview_page(tx, source(), now)
        workers = [_worker(entry) for entry in queries.active_workers(tx, source())]
        basis = common.status_shape(
            frame.head, frame.counts, workers, view.oldest, view.next_due_at_us
        )
        steps = throughput.steps(tx, since_us(span, now), span.minutes)
        return _answer(
            json_shapes.OverviewDocument(
                **{name: getattr(basis, name) for name in basis.__struct_fields__},
                ended_per_minute=view.rates.per_minute,
                running=[json_shapes.listed_job(row) for row in view.running],
                queues=[json_shapes.queue_shape(row) for row in view.queues],
                causes=[json_shapes.cause_shape(cause, ctl) for cause in view.causes],
                upcoming=[common.job_shape(job) for job in view.due_soon],
                throughput=[json_shapes.throughput_shape(step) for step in steps],
            )
        )


@json_blueprint.get("/jobs.json")
def jobs() -> Response:
    """Return a page of the job list."""
    query = jobs_query()
    with source().read() as tx:
        listing = job_list(tx, query.filter, query.before, query.limit, now_us(), query.sort)
        return _answer(
            json_shapes.ListedJobs(
                position=tx.head().position,
                jobs=[json_shapes.listed_job(row) for row in listing.jobs],
                next=_cursor(listing.next),
                searched_to=listing.searched_to,
                sorted_among=listing.sorted_among,
            )
        )


@json_blueprint.get("/dlq.json")
def dlq() -> Response:
    """Return a page of dead jobs; the first page also has their groups by cause."""
    query = dlq_query()
    with source().read() as tx:
        listing = job_list(tx, query.filter, query.before, query.limit, now_us(), query.sort)
        groups = [] if query.is_part else causes.dead_groups(tx, source(), GROUPS_SHOWN)
        return _answer(
            json_shapes.DeadPage(
                position=tx.head().position,
                jobs=[common.job_shape(row.job) for row in listing.jobs],
                next=_cursor(listing.next),
                causes=[json_shapes.cause_shape(cause, ctl) for cause in groups],
            )
        )


def _cursor(number: int | None) -> str | None:
    return None if number is None else str(number)


@json_blueprint.get("/jobs/<job_id>.json")
def job(job_id: str) -> ResponseReturnValue:
    """Return one job with its attempts."""
    with source().read() as tx:
        is_page = jobs_model.get(tx, f"{job_id}.json") is not None
    if is_page:  # an id may end in .json: then this is the HTML page of that job
        return job_page(f"{job_id}.json")
    with source().read() as tx:
        view = queries.job_view(tx, job_id)
        if view is None:
            abort(404, f"There is no job {job_id}.")
        detail = common.job_detail(view.job, view.context, view.runs)
        return _answer(common.JobDocument(position=tx.head().position, job=detail))


@json_blueprint.get("/queues.json")
def queues() -> Response:
    """Return all queues."""
    with source().read() as tx:
        rows = cockpit.queue_rows(tx, now_us())
        return _answer(
            json_shapes.QueueList(
                position=tx.head().position, queues=[json_shapes.queue_shape(row) for row in rows]
            )
        )


@json_blueprint.get("/queues/<name>.json")
def queue(name: str) -> ResponseReturnValue:
    """Return one queue."""
    span = span_param()
    with source().read() as tx:
        now = now_us()
        is_page = cockpit.is_queue(tx, f"{name}.json")
        view = None if is_page else cockpit.queue_page(tx, source(), name, now)
        steps = throughput.steps(tx, since_us(span, now), span.minutes, name)
        position = tx.head().position
    if is_page:  # a name may end in .json: then this is the HTML page of that queue
        return queue_page(f"{name}.json")
    if view is None:
        abort(404, f"There is no queue {name}.")
    return _answer(_queue(view, steps, position))


def _queue(
    view: cockpit.QueuePage, steps: list[throughput.Step], position: int
) -> json_shapes.QueueDocument:
    return json_shapes.QueueDocument(
        position=position,
        queue=json_shapes.queue_shape(view.row),
        ended_per_minute=view.rates.per_minute,
        running=[json_shapes.listed_job(row) for row in view.running],
        waiting=[json_shapes.listed_job(row) for row in view.waiting],
        causes=[json_shapes.cause_shape(cause, ctl) for cause in view.causes],
        throughput=[json_shapes.throughput_shape(step) for step in steps],
    )


@json_blueprint.get("/upcoming.json")
def upcoming() -> Response:
    """Return a page of retries and delayed jobs, soonest first."""
    query = upcoming_query()
    with source().read() as tx:
        listing = cockpit.due_jobs(tx, query.after, query.limit)
        return _answer(
            json_shapes.UpcomingPage(
                position=tx.head().position,
                jobs=[common.job_shape(job) for job in listing.jobs],
                next=None if listing.next is None else query.cursor(listing.next),
            )
        )


@json_blueprint.get("/settings.json")
def settings() -> Response:
    """Return the settings in force and a page of their changes."""
    with source().read() as tx:
        page = settings_page(tx, before_param())
        return _answer(
            json_shapes.SettingsDocument(
                position=tx.head().position,
                settings=[json_shapes.setting_in_force(row) for row in page.in_force],
                changes=[common.event_shape(event) for event in page.changes],
                next=_cursor(page.next),
            )
        )


@json_blueprint.get("/workers.json")
def workers() -> Response:
    """Return the workers with their jobs, and the workers that ended last."""
    with source().read() as tx:
        view = queries.worker_list(tx, source())
        shapes = [_worker(entry) for entry in view.active]
        shapes += [common.worker_shape(worker, alive=False) for worker in view.ended]
        return _answer(common.WorkerPage(position=tx.head().position, workers=shapes))


def _worker(entry: queries.ActiveWorker) -> common.WorkerShape:
    job_ids = tuple(job.id for job in entry.jobs)
    return common.worker_shape(entry.worker, alive=entry.alive, jobs=job_ids)


@json_blueprint.get("/events.json")
def events() -> Response:
    """Return a page of the events of the log, newest first."""
    query = events_query()
    with source().read() as tx:
        listing = queries.event_list(tx, query.stream, query.type, query.before, query.limit)
        return _answer(
            common.EventPage(
                position=tx.head().position,
                events=[common.event_shape(event) for event in listing.events],
                next=_cursor(listing.next_before),
            )
        )


@json_blueprint.get(f"/jobs/<job_id>/output/<int(max={LARGEST_INTEGER}):attempt>")
def output(job_id: str, attempt: int) -> Response:
    """Return the bytes of an attempt's output: a part from `?from=` on, or all for `?download`."""
    if is_download():
        return _download(job_id, attempt)
    with source().read() as tx:
        part = job_output.first_part(tx, source(), job_id, attempt, first_byte_param())
    answer = Response(part.data, mimetype="text/plain")
    answer.headers["X-Output-End"] = str(part.end)
    return answer


def _download(job_id: str, attempt: int) -> Response:
    """Return the whole output as a file; it is read part by part, in constant memory."""
    queue = source()
    answer = Response(job_output.all_parts(queue, job_id, attempt), mimetype="text/plain")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", job_id)
    answer.headers["Content-Disposition"] = f'attachment; filename="job-{name}-{attempt}.txt"'
    return answer


@json_blueprint.get("/stream")
def stream() -> Response:
    """Return a stream of server-sent events: `moved` if the log has grown, `output` if the output.

    The id of a `moved` event is the log position, so that a client that reconnects misses nothing.
    """
    log_watcher: LogWatcher = current_app.extensions["log_watcher"]
    is_disconnected = request.environ.get("waitress.client_disconnected", lambda: False)
    events = stream_events(
        log_watcher, source(), last_position_param(), shown_output_param(), is_disconnected
    )
    return Response(events, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
