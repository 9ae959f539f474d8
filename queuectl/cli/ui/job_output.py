"""Print a job's output: byte for byte into a pipe, as harmless text and colours on a terminal."""

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
"""The sequence Erase in Line, with which progress bars clear their line before they redraw it."""


LONGEST_LINE = 65_536
"""The most characters of an unfinished line to hold back. A longer line is printed in parts."""


class Sink(Protocol):
    """Prints the output of a job, piece by piece."""

    def write(self, data: bytes) -> None:
        """Print a piece of output."""

    def pause(self) -> None:
        """Print everything held back, so that a note can follow on a line of its own."""


class ByteSink:
    """Writes to a pipe or a file."""

    def write(self, data: bytes) -> None:
        """Write the bytes unchanged."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def pause(self) -> None:
        """Do nothing: no output is held back."""


class TerminalSink:
    """Writes to a terminal. Colours and lines are kept; other control characters are made visible.

    A carriage return means that the job writes its line again, as progress bars do: only the last
    state of each line is printed, and only the current line is ever replaced on the screen.
    """

    def __init__(self, colours: bool, live: bool = False) -> None:
        """live: also print an incomplete line, and replace it as it changes."""
        self._colours, self._coloured, self._live = colours, False, live
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._line = ""
        """The incomplete line, as received so far."""
        self._on_screen = ""
        """The text of the incomplete line that is on the screen."""

    def write(self, data: bytes) -> None:
        """Print the complete lines; with `live` also the current state of the incomplete line."""
        sys.stdout.write(self.take(data))
        sys.stdout.flush()

    def pause(self) -> None:
        """Print the incomplete line, and end it."""
        text = self.take(b"", final=True)
        if self._on_screen:
            text += "\n"
        self._line = self._on_screen = ""
        sys.stdout.write(text)
        sys.stdout.flush()

    def take(self, data: bytes, final: bool = False) -> str:
        """Return the text to print after these bytes. final: hold back no text."""
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
        """Return the text that was held back, and the sequence that resets the colour."""
        rest = self.take(b"", final=True)
        return f"{rest}{_RESET}" if self._coloured else rest

    def _replaced_by(self, line: str) -> str:
        """Return the text that makes the current line on the screen show the state of `line`."""
        before = self._on_screen
        self._on_screen = state = "".join(map(self._shown, _SGR.split(_last_state(line))))
        if state.startswith(before):
            return state[len(before) :]
        # A character takes at most two columns: replace the line unless it may have wrapped.
        if 2 * len(before) < shutil.get_terminal_size().columns:
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
    """Return the text after the last carriage return within the line.

    The colour sequences before it are kept in front, as they still apply to the text.
    """
    *replaced, state = line.rstrip("\r").split("\r")
    if not replaced:
        return line.rstrip("\r")
    colours = _SGR.findall(_ERASE.sub("", "".join(replaced)))
    resets = [at for at, colour in enumerate(colours) if _IS_RESET.fullmatch(colour)]
    return "".join(colours[resets[-1] + 1 if resets else 0 :]) + _ERASE.sub("", state)


@contextmanager
def sink(live: bool = False) -> Iterator[Sink]:
    """Return the sink for standard output within the block. live: as in TerminalSink."""
    if not sys.stdout.isatty():
        yield ByteSink()
        return
    screened = TerminalSink(colours_wanted(), live)
    try:
        yield screened
    finally:
        sys.stdout.write(screened.end())
        sys.stdout.flush()
