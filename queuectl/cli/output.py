"""Where a job's output goes: byte for byte into a pipe, as text and colours onto a terminal."""

import codecs
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ..visible import visible
from .look import colours_wanted

_SGR = re.compile(r"(\x1b\[[0-9;:]{0,60}m)")
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-9;:]{0,60})?|\r)\Z")
_INDEXED = re.compile(r"[345]8[;:](?:5[;:][0-9]*|2(?:[;:][0-9]*){3,4})")
_CONCEAL = re.compile(r"(?:^|[;:])0*8(?:$|[;:])")
_RESET = "\x1b[0m"


class Sink(Protocol):
    """Takes in what a job printed, a piece at a time."""

    def write(self, data: bytes) -> None:
        """Print it now."""


class Raw:
    """For a pipe or a file."""

    def write(self, data: bytes) -> None:
        """Byte for byte."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class Screened:
    """For a terminal: colours stay, lines stay, and what would act otherwise is shown instead.

    A carriage return begins a new line: nothing that stands there already is written over.
    """

    def __init__(self, colours: bool) -> None:
        self._colours, self._coloured = colours, False
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def write(self, data: bytes) -> None:
        """As far as it is complete: half a character or half a colour waits for its rest."""
        sys.stdout.write(self.take(data))
        sys.stdout.flush()

    def take(self, data: bytes, final: bool = False) -> str:
        """What to print of it, with what was held back before."""
        text = self._held + self._decoder.decode(data, final)
        self._held = ""
        if not final and (found := _UNFINISHED.search(text)):
            text, self._held = text[: found.start()], found[0]
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return "".join(map(self._shown, _SGR.split(text)))

    def end(self) -> str:
        """What was held back, and the way back to the terminal's own colour."""
        rest = self.take(b"", final=True)
        return f"{rest}{_RESET}" if self._coloured else rest

    def _shown(self, part: str) -> str:
        if not _SGR.fullmatch(part):
            return visible(part, keep="\n\t")
        if not self._colours or _CONCEAL.search(_INDEXED.sub("", part[2:-1])):
            return ""
        self._coloured = True
        return part


@contextmanager
def sink() -> Iterator[Sink]:
    """Where standard output leads, for the length of the block."""
    if not sys.stdout.isatty():
        yield Raw()
        return
    screened = Screened(colours_wanted())
    try:
        yield screened
    finally:
        sys.stdout.write(screened.end())
        sys.stdout.flush()
