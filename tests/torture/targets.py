"""What the fuzzer feeds: each target tries one input, and says what broke a promise."""

import io
import re
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from eventstore import codec
from eventstore.errors import ChainBroken
from eventstore.events.recorded import EVENT_TYPES
from queuectl.cli.ui.job_output import TerminalSink
from queuectl.core.decisions.job import decide
from queuectl.core.requests import Enqueue, NewJob
from queuectl.core.settings import policy
from queuectl.errors import BadInput
from queuectl.escape import visible
from queuectl.input.job_files import Spool, jobs_from_json
from queuectl.input.job_spec import _KEYS

from . import drawing

NOW_US = 1_790_000_000_000_000
KEYS = tuple(_KEYS)
POLICY = policy({})
ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

Broken = str | None
"""What broke a promise; None where all is well."""


class Target(NamedTuple):
    """A place where input comes in."""

    name: str
    share: int
    """Of a hundred inputs."""
    attempt: Callable[[Random], tuple[object, Broken]]
    """Tries one input: that, and what it broke. What it raises is a finding too."""


def decode_event(draw: Random) -> tuple[object, Broken]:
    """Data from the log, half of it spoilt: an event, or the one error that stops a reader."""
    name, data = drawing.event(draw)
    whole = draw.random() < 0.3
    raw = data.encode() if whole else drawing.mutated(draw, data.encode())
    if draw.random() < 0.03:
        name = drawing.any_text(draw)[:50]
    shown = (name, raw)
    try:
        found = codec.decode(1, name, raw.decode())
    except ChainBroken as error:
        refused = whole and name in EVENT_TYPES
        return shown, f"what was encoded is refused: {error}" if refused else None
    except UnicodeDecodeError:
        return shown, None  # such a row is not text for SQLite either; the reader says so
    again = codec.encode(found)
    if codec.decode(1, name, again) != found:
        return shown, "decoding what was encoded gives another event"
    if codec.encode(codec.decode(1, name, again)) != again or (whole and again != data):
        return shown, "its bytes are not canonical"
    return shown, None


def read_jobs(draw: Random) -> tuple[object, Broken]:
    """JSON as enqueue takes it: refused in words, or jobs that the log can hold."""
    data = drawing.jobs(draw, KEYS)
    results = []
    for read in (_of_text, _of_file):
        try:
            results.append(read(data))
        except BadInput as error:
            if not str(error).strip() or len(str(error)) > 5_000:
                return data, f"refused without a reason, or with a book: {str(error)[:100]!r}"
    for new in (job for found in results for job in found):
        if broken := _recordable(new):
            return data, broken
    return data, None


def _of_text(data: bytes) -> list[NewJob]:
    return jobs_from_json(data, NOW_US)


def _of_file(data: bytes) -> list[NewJob]:
    return list(Spool(io.BytesIO(data), NOW_US))


def _recordable(new: NewJob) -> Broken:
    asked = Enqueue(job_id="1", new=new, policy=POLICY, context=1, digest=None, at_us=NOW_US)
    decided = decide(None, asked)
    if not isinstance(decided, tuple):
        return f"a checked job is refused: {decided}"
    for event in decided:
        data = codec.encode(event)
        if codec.decode(1, codec.type_of(event), data) != event:
            return "what was accepted is read back as something else"
        if len(msgspec.json.encode(event)) > 8_000_000:
            return "a job of more than 8 MB was accepted"
    return None


def show(draw: Random) -> tuple[object, Broken]:
    """Text for a terminal or a page: nothing of it acts, whatever pieces it comes in."""
    given = drawing.any_text(draw)
    shown = visible(given)
    if ACTS.search(shown) or "\n" in shown or "\t" in shown:
        return given, f"acts: {ACTS.findall(shown)[:3]}"
    if visible(shown) != shown or visible(given, keep="\n\t").count("\n") != given.count("\n"):
        return given, "is not the same when shown again"
    shown.encode()
    data = drawing.mutated(draw, given.encode(errors="surrogatepass"))
    cut = draw.randrange(len(data) + 1)
    whole, parted = _screened(data), _screened(data[:cut], data[cut:])
    if whole != parted:
        return (data, cut), "comes out otherwise in two pieces"
    return data, "acts as output" if ACTS.search(COLOUR.sub("", whole)) else None


def _screened(*pieces: bytes) -> str:
    screened = TerminalSink(colours=True)
    return "".join([*map(screened.take, pieces), screened.end()])


PURE = (
    Target("events", 35, decode_event),
    Target("json", 25, read_jobs),
    Target("terminal", 20, show),
)
