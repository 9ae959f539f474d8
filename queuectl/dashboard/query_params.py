"""What a page's address asks for: filters and cursors. What makes no sense is refused by name."""

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
from .server_events import Shown

PAGE = 50
LONGEST_PAGE = 500

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
"""The parameters of each page and of the JSON of the same name. `token` opens any of them."""
REPEATABLE = "state"


def refuse_unknown_parameters() -> None:
    """Answer 400 for a parameter that the present page does not have, or one given twice.

    Ignoring it would answer with more than what was asked for.
    """
    known = PARAMETERS.get((request.endpoint or "").rpartition(".")[2])
    if known is None:
        return
    for name, values in request.args.lists():
        if name not in known and name != TOKEN:
            listed = f"the parameters are {', '.join(sorted(known))}" if known else "it has none"
            abort(400, f"This page has no parameter {name[:40]!r}; {listed}.")
        if len(values) > 1 and name != REPEATABLE:
            abort(400, f"{name} is given {len(values)} times; give it once.")


class JobsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs, and which page of them."""

    states: tuple[State, ...]
    queue: str | None
    tag: str | None
    search: str | None
    cause: str | None
    sort: Sort
    before: int | None
    limit: int
    filter: Filter
    """The same jobs, for the read model."""

    @property
    def is_part(self) -> bool:
        """Whether jobs are left out: by a filter, or because it is not the first page."""
        return any((self.queue, self.tag, self.search, self.cause, self.before))

    def address(self, **changed: object) -> dict[str, object]:
        """The query of the same list with some of it changed; a changed filter begins anew."""
        asked = {
            "state": list(self.states),
            "queue": self.queue,
            "tag": self.tag,
            "q": self.search,
            "cause": self.cause,
            "sort": self.sort if self.sort != "newest" else None,
            "limit": self.limit if self.limit != PAGE else None,
        }
        return {name: value for name, value in (asked | changed).items() if value}


class EventsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which events, and which page of them."""

    stream: str | None
    type: str | None
    before: int | None
    limit: int

    def address(self, **changed: object) -> dict[str, object]:
        """The query of the same list with some of it changed."""
        asked = {
            "stream": self.stream,
            "type": self.type,
            "limit": self.limit if self.limit != PAGE else None,
        }
        return {name: value for name, value in (asked | changed).items() if value}


def jobs_asked() -> JobsAsked:
    """From the address of the present request."""
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
    return JobsAsked(
        states=chosen.states if states else (),
        queue=chosen.queue,
        tag=_text("tag"),
        search=chosen.search,
        cause=chosen.cause,
        sort=_sort(),
        before=_number("before"),
        limit=min(_number("limit") or PAGE, LONGEST_PAGE),
        filter=chosen,
    )


def dlq_asked() -> JobsAsked:
    """The same of dead jobs."""
    asked = jobs_asked()
    for word in asked.states:
        if word != "dead":
            abort(400, f"The dead letter queue holds dead jobs only; see /jobs?state={word}.")
    return replace(asked, states=("dead",), filter=replace(asked.filter, states=("dead",)))


def _sentence(error: BadInput) -> str:
    """Return the error as a sentence of a page."""
    text = str(error)
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"


def _sort() -> Sort:
    word = _text("sort") or "newest"
    if word not in SORTS:
        abort(400, f"Sort by one of {', '.join(SORTS)}, not by {word[:40]!r}.")
    return word


def span_asked() -> Span:
    """The length of time that a chart shows."""
    word = _text("span") or "hour"
    if word not in SPANS:
        abort(400, f"The span is one of {', '.join(SPANS)}, not {word[:40]!r}.")
    return SPANS[word]


class UpcomingAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of the retries and delayed jobs."""

    after: Due | None
    limit: int

    @property
    def before(self) -> bool:
        """Whether it is not the first page."""
        return self.after is not None

    @staticmethod
    def cursor(due: Due) -> str:
        """The page that follows this one."""
        return f"{due.due_at_us}.{due.born}"

    def address(self, **changed: object) -> dict[str, object]:
        """The query of the same list with some of it changed."""
        asked = {"limit": self.limit if self.limit != PAGE else None}
        return {name: value for name, value in (asked | changed).items() if value}


def upcoming_asked() -> UpcomingAsked:
    """From the address of the present request."""
    return UpcomingAsked(after=_due(), limit=min(_number("limit") or PAGE, LONGEST_PAGE))


def _due() -> Due | None:
    text = _text("after")
    if text is None:
        return None
    match = re.fullmatch(r"(-?[0-9]{1,18})\.([0-9]{1,18})", text, re.ASCII)
    if match is None:
        abort(400, f"after is the `next` of a page, not {text[:40]!r}.")
    return Due(int(match[1]), int(match[2]))


def before_asked() -> int | None:
    """The position from below which a page continues."""
    return _number("before")


def download_asked() -> bool:
    """Whether the whole output is wanted as a file."""
    return "download" in request.args


def events_asked() -> EventsAsked:
    """From the address of the present request."""
    kind = _text("type")
    if kind is not None and kind not in EVENT_TYPES:
        known = ", ".join(sorted(EVENT_TYPES))
        abort(400, f"There is no event type {kind[:40]!r}; the types are {known}.")
    return EventsAsked(
        stream=_text("stream"),
        type=kind,
        before=_number("before"),
        limit=min(_number("limit") or PAGE, LONGEST_PAGE),
    )


def attempt_asked() -> int | None:
    """The attempt whose output the job's page shows; the last where none is named."""
    return _number("attempt")


def position_asked() -> int:
    """The position that a stream's reader has seen: its last event's id, else the page's."""
    seen = request.headers.get("Last-Event-ID", "")
    if seen.isdecimal() and len(seen) < 19:
        return int(seen)
    return _number("after") or 0


def shown_asked() -> Shown | None:
    """The output that a stream's page shows; None where it shows none."""
    job_id = _text("job")
    if job_id is None:
        return None
    return Shown(job_id, _number("attempt") or 0, _number("end") or 0)


def first_byte_asked() -> int:
    """The byte of an output to begin with."""
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
