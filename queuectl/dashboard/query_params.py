"""The parameters of a page's address: filters and cursors. Invalid ones are answered with 400."""

import re

import msgspec
from flask import abort, request
from msgspec.structs import replace

from eventstore.events.recorded import EVENT_TYPES
from projections.folds.job import State
from projections.read_models.jobs import Filter
from projections.read_models.timers import Due
from queuectl.errors import BadInput
from queuectl.input.job_filter import job_filter
from queuectl.text.numbers import LARGEST_INTEGER, whole_number

from .access import TOKEN
from .charts import SPANS, Span
from .job_list import SORTS, Sort
from .server_events import ShownOutput

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

_JOBS = frozenset({"state", "queue", "tag", "q", "cause", "sort", "before", "limit"})
_SPAN = frozenset({"span"})
PARAMETERS = {
    "overview": _SPAN,
    "status": _SPAN,
    "jobs": _JOBS,
    "dlq": _JOBS,
    "job": frozenset({"attempt"}),
    "output": frozenset({"from", "download"}),
    "queues": frozenset(),
    "queue": _SPAN,
    "upcoming": frozenset({"after", "limit"}),
    "settings": frozenset({"before"}),
    "workers": frozenset(),
    "events": frozenset({"stream", "type", "before", "limit"}),
    "stream": frozenset({"after", "job", "attempt", "end"}),
}
"""The parameters of each page and of the JSON document of the same name.

All of them also take `token`.
"""
REPEATABLE = "state"


def refuse_unknown_parameters() -> None:
    """Answer 400 if the requested page has no such parameter, or if one is given twice.

    If a mistyped filter were ignored, the page would list more than was requested.
    """
    known = PARAMETERS.get((request.endpoint or "").rpartition(".")[2])
    if known is None:
        return
    for name, values in request.args.lists():
        if name not in known and name != TOKEN:
            hint = f"the parameters are {', '.join(sorted(known))}" if known else "it has none"
            abort(400, f"This page has no parameter {name[:40]!r}; {hint}.")
        if len(values) > 1 and name != REPEATABLE:
            abort(400, f"{name} is given {len(values)} times; give it once.")


class JobsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs to list, and which page of the list."""

    states: tuple[State, ...]
    queue: str | None
    tag: str | None
    search: str | None
    cause: str | None
    sort: Sort
    before: int | None
    limit: int
    filter: Filter
    """The same filter, for the read model."""

    @property
    def is_part(self) -> bool:
        """Whether a filter or the page number excludes jobs."""
        return any((self.queue, self.tag, self.search, self.cause, self.before))

    def address(self, **changed: object) -> dict[str, object]:
        """Return the parameters of the same list with some changed, from its first page on."""
        params = {
            "state": list(self.states),
            "queue": self.queue,
            "tag": self.tag,
            "q": self.search,
            "cause": self.cause,
            "sort": self.sort if self.sort != "newest" else None,
            "limit": self.limit if self.limit != DEFAULT_LIMIT else None,
        }
        return {name: value for name, value in (params | changed).items() if value}


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The events to list, and which page of the list."""

    stream: str | None
    type: str | None
    before: int | None
    limit: int

    def address(self, **changed: object) -> dict[str, object]:
        """Return the parameters of the same list with some changed, from its first page on."""
        params = {
            "stream": self.stream,
            "type": self.type,
            "limit": self.limit if self.limit != DEFAULT_LIMIT else None,
        }
        return {name: value for name, value in (params | changed).items() if value}


def jobs_query() -> JobsQuery:
    """Return the parameters of the request. Invalid ones are answered with 400."""
    states = [word for word in request.args.getlist("state") if word]
    try:
        chosen = job_filter(
            states,
            queue=_text("queue"),
            tag=_text("tag"),
            search=_text("q"),
            cause=_text("cause"),
            tag_rule="a tag is written KEY=VALUE",
        )
    except BadInput as error:
        abort(400, _sentence(error))
    return JobsQuery(
        states=chosen.states if states else (),
        queue=chosen.queue,
        tag=_text("tag"),
        search=chosen.search,
        cause=chosen.cause,
        sort=_sort(),
        before=_number("before"),
        limit=min(_number("limit") or DEFAULT_LIMIT, MAX_LIMIT),
        filter=chosen,
    )


def dlq_query() -> JobsQuery:
    """Return the parameters of the list of dead jobs. Another state is answered with 400."""
    query = jobs_query()
    for word in query.states:
        if word != "dead":
            abort(400, f"The dead letter queue holds dead jobs only; see /jobs?state={word}.")
    return replace(query, states=("dead",), filter=replace(query.filter, states=("dead",)))


def _sentence(error: BadInput) -> str:
    """Return the text of an error as a sentence for a page."""
    text = str(error)
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"


def _sort() -> Sort:
    word = _text("sort") or "newest"
    if word not in SORTS:
        abort(400, f"Sort by one of {', '.join(SORTS)}, not by {word[:40]!r}.")
    return word


def span_param() -> Span:
    """Return the length of time that a chart shows; an hour by default."""
    word = _text("span") or "hour"
    if word not in SPANS:
        abort(400, f"The span is one of {', '.join(SPANS)}, not {word[:40]!r}.")
    return SPANS[word]


class UpcomingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page of retries and delayed jobs to list."""

    after: Due | None
    limit: int

    @property
    def before(self) -> bool:
        """Whether this is not the first page."""
        return self.after is not None

    @staticmethod
    def cursor(due: Due) -> str:
        """Return the `after` parameter of the page that follows this job."""
        return f"{due.due_at_us}.{due.born}"

    def address(self, **changed: object) -> dict[str, object]:
        """Return the parameters of the same list with some changed, from its first page on."""
        params = {"limit": self.limit if self.limit != DEFAULT_LIMIT else None}
        return {name: value for name, value in (params | changed).items() if value}


def upcoming_query() -> UpcomingQuery:
    """Return the parameters of the request. Invalid ones are answered with 400."""
    return UpcomingQuery(after=_due(), limit=min(_number("limit") or DEFAULT_LIMIT, MAX_LIMIT))


def _due() -> Due | None:
    text = _text("after")
    if text is None:
        return None
    match = re.fullmatch(r"(-?[0-9]{1,18})\.([0-9]{1,18})", text, re.ASCII)
    if match is None:
        abort(400, f"after is the `next` of a page, not {text[:40]!r}.")
    return Due(int(match[1]), int(match[2]))


def before_param() -> int | None:
    """Return the position before which a page of events continues; None for the newest."""
    return _number("before")


def is_download() -> bool:
    """Return whether the whole output is requested as a file."""
    return "download" in request.args


def events_query() -> EventsQuery:
    """Return the parameters of the request. Invalid ones are answered with 400."""
    event_type = _text("type")
    if event_type is not None and event_type not in EVENT_TYPES:
        known = ", ".join(sorted(EVENT_TYPES))
        abort(400, f"There is no event type {event_type[:40]!r}; the types are {known}.")
    return EventsQuery(
        stream=_text("stream"),
        type=event_type,
        before=_number("before"),
        limit=min(_number("limit") or DEFAULT_LIMIT, MAX_LIMIT),
    )


def attempt_param() -> int | None:
    """Return the attempt whose output a job's page shows; None for the last."""
    return _number("attempt")


def last_position_param() -> int:
    """Return the log position that the client of a stream knows.

    It is the id of the last event that the client received, else the position of its page.
    """
    event_id = request.headers.get("Last-Event-ID", "")
    if event_id.isdecimal() and len(event_id) < 19:
        return int(event_id)
    return _number("after") or 0


def shown_output_param() -> ShownOutput | None:
    """Return the output that the page of a stream shows; None if it shows none."""
    job_id = _text("job")
    if job_id is None:
        return None
    return ShownOutput(job_id, _number("attempt") or 0, _number("end") or 0)


def first_byte_param() -> int:
    """Return the offset (in bytes) of the first byte of an output to return; by default 0."""
    return _number("from") or 0


def _text(name: str) -> str | None:
    return request.args.get(name, "").strip() or None


def _number(name: str) -> int | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    number = whole_number(text, 0, LARGEST_INTEGER)
    if number is None:
        abort(400, f"{name} must be a whole number from 0 to {LARGEST_INTEGER}, not {text[:40]!r}.")
    return number
