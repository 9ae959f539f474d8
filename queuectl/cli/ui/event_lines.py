"""Events, one a line, each printed as it comes: the whole log's, or one job's with its pauses."""

import shutil
from collections.abc import Iterable
from textwrap import wrap

from eventstore.events.job import Claimed, Enqueued
from eventstore.events.recorded import Recorded

from ...core.clock import SystemClock
from ...escape import visible
from ...event_wording import what
from ...json_shapes import event_shape
from ...text.durations import duration
from ...text.timestamps import clock, day, rfc3339
from .printer import Printer, line

_GAP = 2
WORDS_AT_LEAST = 20
"""Characters that what happened needs beside time, type and actor."""


class EventPrinter:
    """Prints events. spec: of the job, where they are one job's history."""

    def __init__(self, out: Printer, spec: Enqueued | None = None) -> None:
        self._out, self._spec = out, spec
        self._width = shutil.get_terminal_size().columns
        self._day = day(SystemClock().wall_us())
        self._before_us: int | None = None
        self._slots: dict[tuple[str, str], int] = {}

    def print(self, events: Iterable[Recorded]) -> None:
        """Print these, in their order."""
        for one in events:
            if self._out.form == "jsonl":
                self._out.document(event_shape(one))
            elif self._out.terminal:
                self._show(one)
            else:
                line(visible("\t".join(self._plain(one)), keep="\t"))
            self._before_us = one.recorded_at_us

    def _plain(self, one: Recorded) -> tuple[str, ...]:
        """One job's events need no stream, and have the seconds since the one before instead."""
        place = one.stream if self._spec is None else f"{self._since_us(one) / 1_000_000:.6f}"
        words = (place, one.type, one.actor, one.data)
        return (str(one.position), rfc3339(one.recorded_at_us), *words)

    def _show(self, one: Recorded) -> None:
        self._say_day(one.recorded_at_us)
        if isinstance(one.event, Claimed):
            self._slots[one.stream, one.actor] = one.event.slot
        told = visible(what(one.event, self._spec))
        if self._spec is None:
            where = f"{one.position:>6}  {clock(one.recorded_at_us)}  {one.stream:<10}"
            text = visible(f"{where}  {one.type:<15}  {self._who(one):<12}  ") + told
            line(text if len(text) <= self._width else f"{text[: self._width - 1]}…")
        else:
            self._wrapped(visible(self._before(one)), told)

    def _before(self, one: Recorded) -> str:
        """What stands before the words of a history; the less, the narrower the terminal."""
        since = "" if self._before_us is None else f"+{duration(self._since_us(one))}"
        parts = [clock(one.recorded_at_us), f"{since:>8}", f"{one.type:<15}"]
        parts.append(f"{self._who(one):<15}")
        for least in (1, -1):  # the pause first: the times tell it
            if sum(len(part) + _GAP for part in parts) + WORDS_AT_LEAST > self._width:
                del parts[least]
        return "".join(f"{part}  " for part in parts)

    def _wrapped(self, before: str, told: str) -> None:
        """Nothing of a history is cut: what is too long goes on below itself, or below the line."""
        room = self._width - len(before)
        if room < WORDS_AT_LEAST:
            line(before.rstrip())
            before, room = "    ", max(self._width - 4, 1)
            words = wrap(told, room)
        else:
            words = wrap(told, room) or [""]
        for text in words:
            line(before + text)
            before = " " * len(before)

    def _who(self, one: Recorded) -> str:
        """The actor; a worker with the slot that runs this job."""
        slot = self._slots.get((one.stream, one.actor))
        if slot is None:
            return one.actor
        return f"{'worker ' if self._spec else ''}{one.actor}/{slot}"

    def _say_day(self, at_us: int) -> None:
        """Times of day are told apart by a line with the date, where it is not today's."""
        if (today := day(at_us)) != self._day:
            self._day = today
            line(f"{today}:")

    def _since_us(self, one: Recorded) -> int:
        """Since the event before; a clock that was set back is told by the times themselves."""
        return 0 if self._before_us is None else max(0, one.recorded_at_us - self._before_us)
