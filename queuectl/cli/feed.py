"""Events, one a line, each printed as it comes: the whole log's, or one job's with its pauses."""

import shutil
from collections.abc import Iterable

from eventstore.events.job import Claimed, Enqueued
from eventstore.events.recorded import Recorded

from ..clock import SystemClock
from ..shapes import event_shape, rfc3339
from ..visible import visible
from ..wording import duration, what
from .printer import Printer, line
from .times import clock, day


class Feed:
    """Prints events. spec: of the job, where they are one job's history."""

    def __init__(self, out: Printer, spec: Enqueued | None = None) -> None:
        self._out, self._spec = out, spec
        self._width = shutil.get_terminal_size().columns
        self._before_us: int | None = None
        self._day = day(SystemClock().wall_us())
        self._slots: dict[tuple[str, str], str] = {}

    def print(self, events: Iterable[Recorded]) -> None:
        """Print these, in their order."""
        for one in events:
            if isinstance(one.event, Claimed):
                self._slots[one.stream, one.actor] = f"worker {one.actor}/{one.event.slot}"
            if self._out.form == "jsonl":
                self._out.document(event_shape(one))
            elif self._out.terminal:
                self._say_day(one.recorded_at_us)
                line(self._cut(visible(self._shown(one))))
            else:
                line(visible("\t".join(self._plain(one)), keep="\t"))
            self._before_us = one.recorded_at_us

    def _plain(self, one: Recorded) -> tuple[str, ...]:
        if self._spec is None:
            place: tuple[str, ...] = (one.stream,)
        else:
            place = (f"{self._since_us(one) / 1_000_000:.6f}",)
        words = (one.type, one.actor, one.data)
        return (str(one.position), rfc3339(one.recorded_at_us), *place, *words)

    def _shown(self, one: Recorded) -> str:
        if self._spec is None:
            place = f"{one.position:>7}  {clock(one.recorded_at_us)}  {one.stream:<14}"
        else:
            since = f"+{duration(self._since_us(one))}" if self._before_us else ""
            place = f"{clock(one.recorded_at_us)} {since:>9}"
        who = self._slots.get((one.stream, one.actor), one.actor)
        return f"{place}  {one.type:<16}  {who:<16}  {what(one.event, self._spec)}"

    def _say_day(self, at_us: int) -> None:
        """Times of day are told apart by a line with the date, where it is not today's."""
        if (today := day(at_us)) != self._day:
            self._day = today
            line(f"{today}:")

    def _since_us(self, one: Recorded) -> int:
        """Since the event before; a clock that was set back is told by the times themselves."""
        return 0 if self._before_us is None else max(0, one.recorded_at_us - self._before_us)

    def _cut(self, text: str) -> str:
        return text if len(text) <= self._width else f"{text[: self._width - 1]}…"
