"""`history` and `events`: print events of one job, or of the whole log."""

import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

from eventstore.events.job import CancelRequested, Claimed, Released
from eventstore.events.recorded import EVENT_TYPES, Recorded
from projections.folds.job import FINAL, Job
from projections.kinds import KINDS
from projections.read_models import runs
from projections.streams import is_job

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
        state_now = existing_job(tx, job)
        position = tx.head().position
        events = tx.events(stream=state_now.id)
        if out.form == "json":
            page = [event_shape(recorded) for recorded in events]
            out.document(EventPage(position=position, events=page, next=None))
            return
        if out.terminal:
            line(_title(out, state_now))
        shown = _without_unstarted(events) if out.terminal and not unstarted_too else events
        EventPrinter(out, state_now.spec).print(shown)
        steps = [f"retry: queuectl dlq retry {quoted(state_now.id)}"] * (state_now.state == "dead")
        steps += output_hint(runs.of_job(tx, state_now.born), state_now)
    out.hint(" · ".join(steps))


def _without_unstarted(events: Iterable[Recorded]) -> Iterator[Recorded]:
    """Leave out each claim that was released before its attempt had started, and its release."""
    held: list[Recorded] = []  # a claim, and later cancel requests: the next event decides
    for recorded in events:
        event = recorded.event
        if isinstance(event, Released):
            yield from held[1:]
            held = []
        elif isinstance(event, Claimed) or (held and isinstance(event, CancelRequested)):
            held.append(recorded)
        else:
            yield from (*held, recorded)
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


OTHER_STREAMS = sorted(kind.form for kind in KINDS.values() if not is_job(kind.form))
"""The names of the streams that do not belong to a job, such as `$worker:ID`."""

ALWAYS = [form for form in OTHER_STREAMS if ":" not in form]
"""The streams that are the only ones of their kind. They exist even if they have no event."""

TAIL = 10
"""Number of events that -f prints first, like the lines of `tail -f`."""


class EventFilter(NamedTuple):
    """Which events to print. Times: UTC, microseconds since 1970."""

    stream: str | None
    kind: str | None
    after: int
    """The position before the first event."""
    upto: int | None
    """The last position; None for the end of the log."""
    since_us: int | None
    until_us: int | None

    def matching(self, events: Iterable[Recorded]) -> Iterator[Recorded]:
        """Yield the events with this type and time.

        Events are in order of position. Clocks may be set back, so the time of each is compared.
        """
        for recorded in events:
            late = self.until_us is not None and recorded.recorded_at_us >= self.until_us
            early = self.since_us is not None and recorded.recorded_at_us < self.since_us
            if self.kind in (None, recorded.type) and not late and not early:
                yield recorded


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
    help="Only events of a job, $config, $worker:ID, $context or $log.",
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
    stream = _existing_stream(reading, stream)
    after, since_us = position_or_time(since or (_tail(reading, stream) if follow else "@0"))
    upto, until_us = position_or_time(until) if until else (None, None)
    which = EventFilter(stream, kind, after or 0, upto, since_us, until_us)
    if out.form == "json":
        _print_json(reading, out, which)
    elif follow:
        _follow(reading, EventPrinter(out), which)
    else:
        EventPrinter(out).print(which.matching(reading.events(which.after, upto, which.stream)))


def _existing_stream(reading: Reading, stream: str | None) -> str | None:
    """Return the name of the stream; `last` is the newest job. Raises NotFound if there is none."""
    if stream == "last":
        with reading.read() as tx:
            return existing_job(tx, stream).id
    if stream in (None, *ALWAYS) or next(reading.events(stream=stream), None) is not None:
        return stream
    assert stream is not None
    if is_job(stream):
        raise NoSuchJob(stream)
    raise NotFound(
        f"unknown stream {stream!r:.100}; others are {', '.join(OTHER_STREAMS[:-1])} and"
        f" {OTHER_STREAMS[-1]} (queuectl worker list --all)"
    )


def _tail(reading: Reading, stream: str | None) -> str:
    """Return the position before the last events of the log or of a stream, as `@4711`."""
    with reading.read() as tx:
        if stream is None:
            return f"@{max(0, tx.head().position - TAIL)}"
        last = deque((recorded.position for recorded in tx.events(stream=stream)), maxlen=TAIL)
    return f"@{last[0] - 1}" if last else "@0"


def _print_json(reading: Reading, out: Printer, which: EventFilter) -> None:
    with reading.read() as tx:
        position = tx.head().position
        events = which.matching(tx.events(which.after, which.upto, which.stream))
        page = [event_shape(recorded) for recorded in events]
    out.document(EventPage(position=position, events=page, next=None))


def _follow(reading: Reading, printer: EventPrinter, which: EventFilter) -> None:
    """Print events when they are recorded, until Ctrl-C or until the output is closed."""
    position = which.after

    def counted(events: Iterator[Recorded]) -> Iterator[Recorded]:
        nonlocal position
        for recorded in events:
            position = recorded.position
            yield recorded

    reading.watch_output()
    while True:
        reading.listen()
        printer.print(which.matching(counted(reading.events(position, None, which.stream))))
        sys.stdout.flush()
        reading.await_more()
