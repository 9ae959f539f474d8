"""The targets of the fuzzer: each tries one input and returns a broken guarantee, if any."""

import io
import re
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from eventstore import codec
from eventstore.errors import ChainBroken
from eventstore.events.recorded import EVENT_TYPES
from queuectl.cli.ui.job_output import LONGEST_LINE, TerminalSink
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
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

Broken = str | None
"""A broken guarantee; None if there is none."""


class Target(NamedTuple):
    """A function of the program that takes input."""

    name: str
    share: int
    """How many of a hundred inputs are for this target."""
    attempt: Callable[[Random], tuple[object, Broken]]
    """Try one input; return it, and the broken guarantee. An exception is a finding, too."""


def decode_event(draw: Random) -> tuple[object, Broken]:
    """Decode data of the log, half of it damaged: the result is an event, or ChainBroken."""
    name, data = drawing.event(draw)
    whole = draw.random() < 0.3
    raw = data.encode() if whole else drawing.mutated(draw, data.encode())
    if draw.random() < 0.03:
        name = drawing.any_text(draw)[:50]
    shown = (name, raw)
    try:
        event = codec.decode(1, name, raw.decode())
    except ChainBroken as error:
        refused = whole and name in EVENT_TYPES
        return shown, f"an encoded event is refused: {error}" if refused else None
    except UnicodeDecodeError:
        return shown, None  # such a row is not text in SQLite either, and the reader reports that
    again = codec.encode(event)
    if codec.decode(1, name, again) != event:
        return shown, "decoding an encoded event gives another event"
    if codec.encode(codec.decode(1, name, again)) != again or (whole and again != data):
        return shown, "its bytes are not canonical"
    return shown, None


def read_jobs(draw: Random) -> tuple[object, Broken]:
    """Read JSON as `enqueue` does: it is refused with a message, or gives recordable jobs."""
    data = drawing.jobs(draw, KEYS)
    results = []
    for read in (_of_text, _of_file):
        try:
            results.append(read(data))
        except BadInput as error:
            if not str(error).strip() or len(str(error)) > 5_000:
                return data, f"refused without a reason, or with a long one: {str(error)[:100]!r}"
    for new in (job for result in results for job in result):
        if broken := _recordable(new):
            return data, broken
    return data, None


def _of_text(data: bytes) -> list[NewJob]:
    return jobs_from_json(data, NOW_US)


def _of_file(data: bytes) -> list[NewJob]:
    return list(Spool(io.BytesIO(data), NOW_US))


def _recordable(new: NewJob) -> Broken:
    request = Enqueue(job_id="1", new=new, policy=POLICY, context=1, digest=None, at_us=NOW_US)
    decided = decide(None, request)
    if not isinstance(decided, tuple):
        return f"a checked job is refused: {decided}"
    for event in decided:
        data = codec.encode(event)
        if codec.decode(1, codec.type_of(event), data) != event:
            return "an accepted job is read back as a different one"
        if len(msgspec.json.encode(event)) > 8_000_000:
            return "a job of more than 8 MB was accepted"
    return None


def show(draw: Random) -> tuple[object, Broken]:
    """Show text for a terminal or a page: no control characters, however it is split."""
    text = drawing.any_text(draw)
    shown = visible(text)
    if CONTROL.search(shown) or "\n" in shown or "\t" in shown:
        return text, f"control characters: {CONTROL.findall(shown)[:3]}"
    if visible(shown) != shown or visible(text, keep="\n\t").count("\n") != text.count("\n"):
        return text, "changes when it is shown again"
    shown.encode()
    data = drawing.mutated(draw, text.encode(errors="surrogatepass"))
    cut = draw.randrange(len(data) + 1)
    whole, parted = _screened(data), _screened(data[:cut], data[cut:])
    if whole != parted and not _has_long_line(data):
        return (data, cut), "differs if split in two pieces"
    return data, "control characters in output" if CONTROL.search(COLOUR.sub("", whole)) else None


def _has_long_line(data: bytes) -> bool:
    """Return whether a line is so long that it is printed as it comes, not as a whole."""
    text = data.decode(errors="backslashreplace")
    return max(map(len, text.split("\n"))) > LONGEST_LINE


def _screened(*pieces: bytes) -> str:
    sink = TerminalSink(colours=True)
    return "".join([*map(sink.take, pieces), sink.end()])


PURE = (
    Target("events", 35, decode_event),
    Target("json", 25, read_jobs),
    Target("terminal", 20, show),
)
