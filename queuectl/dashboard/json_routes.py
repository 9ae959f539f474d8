"""What programs read: the pages as JSON, outputs as text, and the stream of the log's moves."""

import re

import msgspec
from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from projections.read_models import jobs as jobs_model
from projections.read_models import throughput
from queuectl import json_shapes as common
from queuectl.text.numbers import LARGEST_INTEGER

from . import causes, cockpit, job_output, json_shapes, queries
from .html_routes import GROUPS, ctl, now_us, since_us, source
from .html_routes import job as job_page
from .html_routes import queue as queue_page
from .job_list import job_list
from .log_watcher import Pulse
from .query_params import (
    before_asked,
    dlq_asked,
    download_asked,
    events_asked,
    first_byte_asked,
    jobs_asked,
    position_asked,
    shown_asked,
    span_asked,
    upcoming_asked,
)
from .server_events import told
from .settings_history import settings_page

feeds = Blueprint("feeds", __name__)


def _answer(document: common.Document) -> Response:
    return Response(msgspec.json.encode(document) + b"\n", mimetype="application/json")


@feeds.get("/status.json")
def status() -> Response:
    """The overview."""
    span = span_asked()
    with source().read() as tx:
        now = now_us()
        frame = queries.frame(tx)
        seen = cockpit.overview(tx, source(), now)
        workers = [common.worker_shape(worker) for worker in frame.workers]
        basis = common.status_shape(
            frame.head, frame.counts, workers, seen.oldest, seen.next_due_at_us
        )
        steps = throughput.steps(tx, since_us(span, now), span.minutes)
        return _answer(
            json_shapes.Overview(
                **{name: getattr(basis, name) for name in basis.__struct_fields__},
                ended_per_minute=seen.rates.per_minute,
                running=[json_shapes.listed_job(row) for row in seen.running],
                queues=[json_shapes.queue_shape(row) for row in seen.queues],
                causes=[json_shapes.cause_shape(cause, ctl) for cause in seen.causes],
                upcoming=[common.job_shape(job) for job in seen.soon],
                throughput=[json_shapes.throughput_shape(step) for step in steps],
            )
        )


@feeds.get("/jobs.json")
def jobs() -> Response:
    """The job list."""
    asked = jobs_asked()
    with source().read() as tx:
        found = job_list(tx, asked.filter, asked.before, asked.limit, now_us(), asked.sort)
        return _answer(
            json_shapes.ListedJobs(
                position=tx.head().position,
                jobs=[json_shapes.listed_job(row) for row in found.jobs],
                next=_cursor(found.next),
                searched_to=found.searched_to,
                sorted_among=found.sorted_among,
            )
        )


@feeds.get("/dlq.json")
def dlq() -> Response:
    """The dead jobs, and the groups of them."""
    asked = dlq_asked()
    with source().read() as tx:
        found = job_list(tx, asked.filter, asked.before, asked.limit, now_us(), asked.sort)
        groups = [] if asked.is_part else causes.causes(tx, source(), GROUPS)
        return _answer(
            json_shapes.DeadPage(
                position=tx.head().position,
                jobs=[common.job_shape(row.job) for row in found.jobs],
                next=_cursor(found.next),
                causes=[json_shapes.cause_shape(cause, ctl) for cause in groups],
            )
        )


def _cursor(number: int | None) -> str | None:
    return None if number is None else str(number)


@feeds.get("/jobs/<job_id>.json")
def job(job_id: str) -> ResponseReturnValue:
    """One job with its attempts."""
    with source().read() as tx:
        is_page = jobs_model.get(tx, f"{job_id}.json") is not None
    if is_page:  # an id may end so, and then the address is that job's page
        return job_page(f"{job_id}.json")
    with source().read() as tx:
        seen = queries.job_page(tx, job_id)
        if seen is None:
            abort(404, f"There is no job {job_id}.")
        detail = common.job_detail(seen.job, seen.context, seen.runs)
        return _answer(common.JobDocument(position=tx.head().position, job=detail))


@feeds.get("/queues.json")
def queues() -> Response:
    """The queues."""
    with source().read() as tx:
        rows = cockpit.queue_rows(tx, now_us())
        return _answer(
            json_shapes.QueueList(
                position=tx.head().position, queues=[json_shapes.queue_shape(row) for row in rows]
            )
        )


@feeds.get("/queues/<name>.json")
def queue(name: str) -> ResponseReturnValue:
    """One queue."""
    span = span_asked()
    with source().read() as tx:
        now = now_us()
        is_page = cockpit.is_queue(tx, f"{name}.json")
        seen = None if is_page else cockpit.queue_page(tx, source(), name, now)
        steps = throughput.steps(tx, since_us(span, now), span.minutes, name)
        position = tx.head().position
    if is_page:  # a name may end so, and then the address is that queue's page
        return queue_page(f"{name}.json")
    if seen is None:
        abort(404, f"There is no queue {name}.")
    return _answer(_queue(seen, steps, position))


def _queue(
    seen: cockpit.QueuePage, steps: list[throughput.Step], position: int
) -> json_shapes.QueueDocument:
    return json_shapes.QueueDocument(
        position=position,
        queue=json_shapes.queue_shape(seen.row),
        ended_per_minute=seen.rates.per_minute,
        running=[json_shapes.listed_job(row) for row in seen.running],
        waiting=[json_shapes.listed_job(row) for row in seen.waiting],
        causes=[json_shapes.cause_shape(cause, ctl) for cause in seen.causes],
        throughput=[json_shapes.throughput_shape(step) for step in steps],
    )


@feeds.get("/upcoming.json")
def upcoming() -> Response:
    """Retries and delayed jobs, soonest first."""
    asked = upcoming_asked()
    with source().read() as tx:
        found = cockpit.upcoming(tx, asked.after, asked.limit)
        return _answer(
            json_shapes.UpcomingPage(
                position=tx.head().position,
                jobs=[common.job_shape(job) for job in found.jobs],
                next=None if found.next is None else asked.cursor(found.next),
            )
        )


@feeds.get("/settings.json")
def settings() -> Response:
    """The settings and their changes."""
    with source().read() as tx:
        found = settings_page(tx, before_asked())
        return _answer(
            json_shapes.SettingsDocument(
                position=tx.head().position,
                settings=[json_shapes.setting_in_force(row) for row in found.in_force],
                changes=[common.event_shape(event) for event in found.changes],
                next=_cursor(found.next),
            )
        )


@feeds.get("/workers.json")
def workers() -> Response:
    """Who works on what, and who last did."""
    with source().read() as tx:
        seen = queries.worker_list(tx)
        found = [
            common.worker_shape(entry.worker, tuple(job.id for job in entry.jobs))
            for entry in seen.active
        ]
        found += [common.worker_shape(worker) for worker in seen.ended]
        return _answer(common.WorkerPage(position=tx.head().position, workers=found))


@feeds.get("/events.json")
def events() -> Response:
    """The log, newest first."""
    asked = events_asked()
    with source().read() as tx:
        found = queries.event_list(tx, asked.stream, asked.type, asked.before, asked.limit)
        return _answer(
            common.EventPage(
                position=tx.head().position,
                events=[common.event_shape(event) for event in found.events],
                next=_cursor(found.next),
            )
        )


@feeds.get(f"/jobs/<job_id>/output/<int(max={LARGEST_INTEGER}):attempt>")
def output(job_id: str, attempt: int) -> Response:
    """What an attempt printed, byte for byte: a part from `?from=` on, or a `?download` of all."""
    if download_asked():
        return _download(job_id, attempt)
    with source().read() as tx:
        part = job_output.first(tx, source(), job_id, attempt, first_byte_asked())
    answer = Response(part.data, mimetype="text/plain")
    answer.headers["X-Output-End"] = str(part.end)
    return answer


def _download(job_id: str, attempt: int) -> Response:
    """All of it as a file, in flat memory: part by part, as a page would ask for it."""
    queue = source()
    answer = Response(job_output.parts(queue, job_id, attempt), mimetype="text/plain")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", job_id)
    answer.headers["Content-Disposition"] = f'attachment; filename="job-{name}-{attempt}.txt"'
    return answer


@feeds.get("/stream")
def stream() -> Response:
    """Server-sent events: `moved` whenever the log has, `output` whenever a job has printed more.

    An event's id is the position of the log, so a reader that comes back misses nothing.
    """
    pulse: Pulse = current_app.extensions["pulse"]
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    events = told(pulse, source(), position_asked(), shown_asked(), gone)
    return Response(events, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
