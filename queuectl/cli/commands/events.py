"""`history` and `events`: what the log has to tell."""

import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

from eventstore.events.job import CancelRequested, Claimed, Released
from eventstore.events.recorded import EVENT_TYPES, Recorded
from projections.folds.job import FINAL, Job
from projections.read_models import runs

from ...core.clock import SystemClock
from ...core.snapshot import Reading
from ...errors import NoSuchJob, NotFound
from ...escape import quoted, visible
from ...input.job_filter import position_or_time
from ...json_shapes import EventPage, event_shape
from ...text.timestamps import moment
from ..ui import options
from ..ui.columns import output_hint, state
from ..ui.event_lines import EventPrinter
from ..ui.foreign_words import FOREIGN_EVENT_TYPES
from ..ui.job_selection import existing_job
from ..ui.param_types import Word
from ..ui.printer import Printer, line


@click.command(
    "history", epilog=options.examples("queuectl history last", "queuectl history last --json")
)
@click.argument("job", metavar="JOB", shell_complete=options.completed_by("job_ids"))
@click.option(
    "--all", "unstarted_too", is_flag=True, help="Also show claims that never started (terminal)."
)
@options.list_printer
@options.reading
def history_command(reading: Reading, out: Printer, job: str, unstarted_too: bool) -> None:
    """Show every event of a job: when, by whom and why."""
    with reading.read() as tx:
        found = existing_job(tx, job)
        position = tx.head().position
        events = tx.events(stream=found.id)
        if out.form == "json":
            page = [event_shape(one) for one in events]
            out.document(EventPage(position=position, events=page, next=None))
            return
        if out.terminal:
            line(_title(out, found))
        shown = _started(events) if out.terminal and not unstarted_too else events
        EventPrinter(out, found.spec).print(shown)
        steps = [f"retry: queuectl dlq retry {quoted(found.id)}"] * (found.state == "dead")
        steps += output_hint(runs.of_job(tx, found.born), found)
    out.hint(" · ".join(steps))


def _started(events: Iterable[Recorded]) -> Iterator[Recorded]:
    """Leave out claims that were given back before their attempt had started."""
    held: list[Recorded] = []
    for one in events:
        if isinstance(one.event, Released):
            yield from held[1:]
            held = []
        elif isinstance(one.event, Claimed) or (held and isinstance(one.event, CancelRequested)):
            held.append(one)
        else:
            yield from (*held, one)
            held = []
    yield from held


def _title(out: Printer, job: Job) -> str:
    when = moment(job.changed_at_us, SystemClock().wall_us())
    which, since = f"job {visible(job.id)}  ", f" {'at' if job.state in FINAL else 'since'} {when}"
    room = shutil.get_terminal_size().columns - len(f"{which}  {state(job)}{since}")
    most = max(10, min(40, room))
    command = visible(job.spec.command)
    command = command if len(command) <= most else f"{command[: most - 1]}…"
    return f"{which}{command}  {out.painted(state(job), job.state)}{since}"


ALWAYS = ("$config", "$context")
"""Streams that there are, even without an event."""

TAIL = 10
"""Events with which following begins, as `tail -f` does with lines."""


class Wanted(NamedTuple):
    """Which events. Times: UTC, microseconds since 1970."""

    stream: str | None
    kind: str | None
    after: int
    """Position."""
    upto: int | None
    """Position."""
    since_us: int | None
    until_us: int | None

    def among(self, events: Iterable[Recorded]) -> Iterator[Recorded]:
        """Those of these wanted. Order is by position, and clocks step: each is asked its time."""
        for one in events:
            late = self.until_us is not None and one.recorded_at_us >= self.until_us
            early = self.since_us is not None and one.recorded_at_us < self.since_us
            if self.kind in (None, one.type) and not late and not early:
                yield one


@click.command(
    "events",
    epilog=options.examples(
        "queuectl events --since 2h-ago --type dead",
        "queuectl events --since @0 --until @10 --jsonl",
        "queuectl events --stream last",
    ),
)
@click.option(
    "--since", metavar="@P|WHEN", help="Events after position P, or from this time on: 2h (ago)."
)
@click.option("--until", metavar="@P|WHEN", help="Events up to position P, or before this time.")
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    type=Word("event type", EVENT_TYPES, FOREIGN_EVENT_TYPES),
    help="Only events of this type.",
)
@click.option(
    "--stream",
    metavar="S",
    shell_complete=options.completed_by("job_ids"),
    help="Only events of a job, $config, $worker:ID or $context.",
)
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Follow the log as it grows, from the last 10 events or --since on.",
)
@options.list_printer
@options.reading
def events_command(
    reading: Reading,
    out: Printer,
    since: str | None,
    until: str | None,
    kind: str | None,
    stream: str | None,
    follow: bool,
) -> None:
    """Print the event log; with -f follow it as it grows."""
    if follow and (out.form == "json" or until is not None):
        raise click.UsageError(
            "-f never ends, so it takes --jsonl instead of --json, and no --until"
        )
    stream = _named(reading, stream)
    after, since_us = position_or_time(since or (_tail(reading, stream) if follow else "@0"))
    upto, until_us = position_or_time(until) if until else (None, None)
    wanted = Wanted(stream, kind, after or 0, upto, since_us, until_us)
    if out.form == "json":
        _document(reading, out, wanted)
    elif follow:
        _follow(reading, EventPrinter(out), wanted)
    else:
        EventPrinter(out).print(wanted.among(reading.events(wanted.after, upto, wanted.stream)))


def _named(reading: Reading, stream: str | None) -> str | None:
    """The stream that was typed. Raises NotFound for one without an event."""
    if stream == "last":
        with reading.read() as tx:
            return existing_job(tx, stream).id
    if stream in (None, *ALWAYS) or next(reading.events(stream=stream), None) is not None:
        return stream
    assert stream is not None
    if not stream.startswith("$"):
        raise NoSuchJob(stream)
    raise NotFound(
        f"unknown stream {stream!r:.100}; others are $config, $context and $worker:ID"
        " (queuectl worker list --all)"
    )


def _tail(reading: Reading, stream: str | None) -> str:
    """Where the last events begin, of the log or of a stream."""
    with reading.read() as tx:
        if stream is None:
            return f"@{max(0, tx.head().position - TAIL)}"
        last = deque((one.position for one in tx.events(stream=stream)), maxlen=TAIL)
    return f"@{last[0] - 1}" if last else "@0"


def _document(reading: Reading, out: Printer, wanted: Wanted) -> None:
    with reading.read() as tx:
        position = tx.head().position
        found = wanted.among(tx.events(wanted.after, wanted.upto, wanted.stream))
        page = [event_shape(one) for one in found]
    out.document(EventPage(position=position, events=page, next=None))


def _follow(reading: Reading, feed: EventPrinter, wanted: Wanted) -> None:
    """Until Ctrl-C, or until nobody reads our lines."""
    seen = wanted.after

    def passing(events: Iterator[Recorded]) -> Iterator[Recorded]:
        nonlocal seen
        for one in events:
            seen = one.position
            yield one

    reading.watch_output()
    while True:
        reading.listen()
        feed.print(wanted.among(passing(reading.events(seen, None, wanted.stream))))
        sys.stdout.flush()
        reading.await_more()
