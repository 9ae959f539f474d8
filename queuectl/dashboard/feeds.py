"""What programs read: the pages as JSON, outputs as text, and the stream of the log's moves."""

import msgspec
from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from projections.read_models import jobs as jobs_model
from queuectl import shapes

from . import printed, views
from .asked import (
    LARGEST,
    JobsAsked,
    events_asked,
    first_byte_asked,
    jobs_asked,
    position_asked,
    shown_asked,
)
from .pages import job as job_page
from .pages import now_us, source
from .pulse import Pulse
from .stream import told
from .views import Frame

feeds = Blueprint("feeds", __name__)


def _answer(document: shapes.Document) -> Response:
    return Response(msgspec.json.encode(document) + b"\n", mimetype="application/json")


@feeds.get("/status.json")
def status() -> Response:
    """The overview."""
    with source().read() as tx:
        frame = views.frame(tx)
        seen = views.overview(tx, now_us())
        return _answer(_status(frame, seen))


def _status(frame: Frame, seen: views.Overview) -> shapes.Status:
    at_work = [shapes.worker_shape(worker) for worker in frame.workers]
    return shapes.status_shape(frame.head, frame.counts, at_work, seen.oldest, seen.next_due_at_us)


@feeds.get("/jobs.json")
def jobs() -> Response:
    """The job list."""
    return _jobs(jobs_asked())


@feeds.get("/dlq.json")
def dlq() -> Response:
    """The dead letters."""
    return _jobs(msgspec.structs.replace(jobs_asked(), states=("dead",)))


def _jobs(asked: JobsAsked) -> Response:
    with source().read() as tx:
        found = views.job_list(tx, asked.filter, asked.before, asked.limit)
        return _answer(
            shapes.JobPage(
                position=tx.head().position,
                jobs=[shapes.job_shape(job) for job in found.jobs],
                next=None if found.next is None else str(found.next),
            )
        )


@feeds.get("/jobs/<job_id>.json")
def job(job_id: str) -> ResponseReturnValue:
    """One job with its attempts."""
    with source().read() as tx:
        is_page = jobs_model.get(tx, f"{job_id}.json") is not None
    if is_page:  # an id may end so, and then the address is that job's page
        return job_page(f"{job_id}.json")
    with source().read() as tx:
        seen = views.job_page(tx, job_id)
        if seen is None:
            abort(404, f"There is no job {job_id}.")
        cwd = seen.context.cwd if seen.context else None
        detail = shapes.job_detail(seen.job, cwd, seen.runs)
        return _answer(shapes.JobDocument(position=tx.head().position, job=detail))


@feeds.get("/workers.json")
def workers() -> Response:
    """Who works on what, and who last did."""
    with source().read() as tx:
        seen = views.worker_list(tx)
        found = [
            shapes.worker_shape(one.worker, tuple(job.id for job in one.jobs))
            for one in seen.active
        ]
        found += [shapes.worker_shape(worker) for worker in seen.ended]
        return _answer(shapes.WorkerPage(position=tx.head().position, workers=found))


@feeds.get("/events.json")
def events() -> Response:
    """The log, newest first."""
    asked = events_asked()
    with source().read() as tx:
        found = views.event_list(tx, asked.stream, asked.type, asked.before, asked.limit)
        return _answer(
            shapes.EventPage(
                position=tx.head().position,
                events=[shapes.event_shape(one) for one in found.events],
                next=None if found.next is None else str(found.next),
            )
        )


@feeds.get(f"/jobs/<job_id>/output/<int(max={LARGEST}):attempt>")
def output(job_id: str, attempt: int) -> Response:
    """What an attempt printed, byte for byte, from `?from=` on, a part at a time."""
    with source().read() as tx:
        part = printed.first(tx, source(), job_id, attempt, first_byte_asked())
    answer = Response(part.data, mimetype="text/plain")
    answer.headers["X-Output-End"] = str(part.end)
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
