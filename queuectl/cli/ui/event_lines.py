"""Print events, one per line: of the whole log, or of one job with the time between them."""

import shutil
from collections.abc import Iterable
from textwrap import wrap

from eventstore.events.job import Claimed, Enqueued
from eventstore.events.recorded import Recorded

from ...core.clock import SystemClock
from ...escape import visible
from ...event_wording import event_text
from ...json_shapes import event_shape
from ...text.durations import duration
from ...text.timestamps import clock, day, rfc3339
from .printer import Printer, line

_GAP = 2
WORDS_AT_LEAST = 20
"""The minimum width of the description, next to time, type and actor."""


class EventPrinter:
    """Prints events. spec: the options of the job if all events are of one job, else None."""

    def __init__(self, out: Printer, spec: Enqueued | None = None) -> None:
        self._out, self._spec = out, spec
        self._width = shutil.get_terminal_size().columns
        self._day = day(SystemClock().wall_us())
        self._previous_us: int | None = None
        self._slots: dict[tuple[str, str], int] = {}

    def print(self, events: Iterable[Recorded]) -> None:
        """Print each event as soon as it is read."""
        for recorded in events:
            if self._out.form == "jsonl":
                self._out.document(event_shape(recorded))
            elif self._out.terminal:
                self._print_for_terminal(recorded)
            else:
                line(visible("\t".join(self._plain(recorded)), keep="\t"))
            self._previous_us = recorded.recorded_at_us

    def _plain(self, recorded: Recorded) -> tuple[str, ...]:
        """Return the fields of a line in a pipe.

        The third field is the stream. If all events are of one job, it is the seconds since the
        previous event.
        """
        third = recorded.stream
        if self._spec is not None:
            third = f"{self._since_us(recorded) / 1_000_000:.6f}"
        words = (third, recorded.type, recorded.actor, recorded.data)
        return (str(recorded.position), rfc3339(recorded.recorded_at_us), *words)

    def _print_for_terminal(self, recorded: Recorded) -> None:
        self._print_new_day(recorded.recorded_at_us)
        if isinstance(recorded.event, Claimed):
            self._slots[recorded.stream, recorded.actor] = recorded.event.slot
        description = visible(event_text(recorded.event, self._spec))
        if self._spec is None:
            at = clock(recorded.recorded_at_us)
            where = f"{recorded.position:>6}  {at}  {recorded.stream:<10}"
            text = visible(f"{where}  {recorded.type:<15}  {self._who(recorded):<12}  ")
            text += description
            line(text if len(text) <= self._width else f"{text[: self._width - 1]}…")
        else:
            self._print_wrapped(visible(self._prefix(recorded)), description)

    def _prefix(self, recorded: Recorded) -> str:
        """Return the text before the description; for a narrow terminal with fewer fields."""
        since = "" if self._previous_us is None else f"+{duration(self._since_us(recorded))}"
        parts = [clock(recorded.recorded_at_us), f"{since:>8}", f"{recorded.type:<15}"]
        parts.append(f"{self._who(recorded):<15}")
        for least in (1, -1):  # first the time since the previous event, then the actor
            if sum(len(part) + _GAP for part in parts) + WORDS_AT_LEAST > self._width:
                del parts[least]
        return "".join(f"{part}  " for part in parts)

    def _print_wrapped(self, prefix: str, description: str) -> None:
        """Print a line of a history; a long description is continued on more lines, never cut."""
        room = self._width - len(prefix)
        if room < WORDS_AT_LEAST:
            line(prefix.rstrip())
            prefix, room = "    ", max(self._width - 4, 1)
            words = wrap(description, room)
        else:
            words = wrap(description, room) or [""]
        for text in words:
            line(prefix + text)
            prefix = " " * len(prefix)

    def _who(self, recorded: Recorded) -> str:
        """Return the actor. If it is a worker, add the slot in which it runs the job."""
        slot = self._slots.get((recorded.stream, recorded.actor))
        if slot is None:
            return recorded.actor
        return f"{'worker ' if self._spec else ''}{recorded.actor}/{slot}"

    def _print_new_day(self, at_us: int) -> None:
        """Print a line with the date if it differs from that of the previous event.

        The first event is compared with today.
        """
        if (date := day(at_us)) != self._day:
            self._day = date
            line(f"{date}:")

    def _since_us(self, recorded: Recorded) -> int:
        """Return the microseconds since the previous event; 0 if the clock was set back."""
        if self._previous_us is None:
            return 0
        return max(0, recorded.recorded_at_us - self._previous_us)
