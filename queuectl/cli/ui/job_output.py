"""Where a job's output goes: byte for byte into a pipe, as text and colours onto a terminal."""

import codecs
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ...escape import visible
from .style import colours_wanted

_SGR = re.compile(r"(\x1b\[[0-9;:]{0,60}m)")
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-9;:]{0,60})?|\r)\Z")
_INDEXED = re.compile(r"[345]8[;:](?:5[;:][0-9]*|2(?:[;:][0-9]*){3,4})")
_CONCEAL = re.compile(r"(?:^|[;:])0*8(?:$|[;:])")
_RESET = "\x1b[0m"
_IS_RESET = re.compile(r"\x1b\[[0;:]*m")
_ERASE = re.compile(r"\x1b\[[0-2]?K")
"""Erase in line: a progress bar clears with it what it writes anew."""


LONGEST_LINE = 65_536
"""Characters of a line that are kept to be replaced; what is longer is printed as it comes."""


class Sink(Protocol):
    """Takes in what a job printed, a piece at a time."""

    def write(self, data: bytes) -> None:
        """Print it now."""

    def pause(self) -> None:
        """Print all that came so far, so that a note can follow on a line of its own."""


class ByteSink:
    """For a pipe or a file."""

    def write(self, data: bytes) -> None:
        """Byte for byte."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def pause(self) -> None:
        """Nothing is held back."""


class TerminalSink:
    """For a terminal: colours stay, lines stay, and what would act otherwise is shown instead.

    A carriage return lets the job write its line anew, as progress bars do: of each line its last
    state is printed. Only that line is ever replaced on the screen.
    """

    def __init__(self, colours: bool, live: bool = False) -> None:
        """live: also print a line that is not complete yet, and replace it as it changes."""
        self._colours, self._coloured, self._live = colours, False, live
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._line = ""
        """What came of the line that is not complete yet."""
        self._on_screen = ""
        """What of it is printed."""

    def write(self, data: bytes) -> None:
        """The lines that are complete, each once; with `live` also the last state of the next."""
        sys.stdout.write(self.take(data))
        sys.stdout.flush()

    def pause(self) -> None:
        """Print the line that is not complete, and end it."""
        text = self.take(b"", final=True)
        if self._on_screen:
            text += "\n"
        self._line = self._on_screen = ""
        sys.stdout.write(text)
        sys.stdout.flush()

    def take(self, data: bytes, final: bool = False) -> str:
        """What to print of it, with what was held back before."""
        *lines, self._line = (self._line + self._decoder.decode(data, final)).split("\n")
        printed = []
        for line in lines:
            printed.append(self._replaced_by(line) + "\n")
            self._on_screen = ""
        if final or len(self._line) > LONGEST_LINE:
            printed.append(self._replaced_by(self._line))
        elif self._live:
            unfinished = _UNFINISHED.search(self._line)
            printed.append(self._replaced_by(self._line[: unfinished and unfinished.start()]))
        if len(self._line) > LONGEST_LINE:
            self._line = self._on_screen = ""
        return "".join(printed)

    def end(self) -> str:
        """What was held back, and the way back to the terminal's own colour."""
        rest = self.take(b"", final=True)
        return f"{rest}{_RESET}" if self._coloured else rest

    def _replaced_by(self, line: str) -> str:
        """What makes the line on the screen show the last state of `line`."""
        before = self._on_screen
        self._on_screen = state = "".join(map(self._shown, _SGR.split(_last_state(line))))
        if state.startswith(before):
            return state[len(before) :]
        if 2 * len(before) < shutil.get_terminal_size().columns:  # a character takes two at most
            return f"\r\x1b[K{state}"
        return f"\n{state}"

    def _shown(self, part: str) -> str:
        if not _SGR.fullmatch(part):
            return visible(part, keep="\t")
        if not self._colours or _CONCEAL.search(_INDEXED.sub("", part[2:-1])):
            return ""
        self._coloured = True
        return part


def _last_state(line: str) -> str:
    """The text after the last carriage return that any follows, in the colours set before it."""
    *replaced, state = line.rstrip("\r").split("\r")
    if not replaced:
        return line.rstrip("\r")
    colours = _SGR.findall(_ERASE.sub("", "".join(replaced)))
    resets = [at for at, colour in enumerate(colours) if _IS_RESET.fullmatch(colour)]
    return "".join(colours[resets[-1] + 1 if resets else 0 :]) + _ERASE.sub("", state)


@contextmanager
def sink(live: bool = False) -> Iterator[Sink]:
    """Where standard output leads, for the length of the block. live: as in TerminalSink."""
    if not sys.stdout.isatty():
        yield ByteSink()
        return
    screened = TerminalSink(colours_wanted(), live)
    try:
        yield screened
    finally:
        sys.stdout.write(screened.end())
        sys.stdout.flush()
