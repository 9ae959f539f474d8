"""`--watch`: print an answer repeatedly, each time on a cleared screen."""

import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import click

from ...core.snapshot import Reading
from .printer import Printer

HOME_AND_CLEAR = "\x1b[H\x1b[J"
CUT_LINES, WRAP_LINES = "\x1b[?7l", "\x1b[?7h"


class _Page(StringIO):
    """A buffer for text that will be written to the terminal."""

    def isatty(self) -> bool:
        """Return True, so that the text is formatted for a terminal."""
        return True


def watch(reading: Reading, out: Printer, show: Callable[[], None], every_s: float | None) -> None:
    """Call `show` once; with `every_s`, on every change, and every `every_s` seconds without one.

    `every_s` ends only by Ctrl-C. Raises click.UsageError if stdout is not a terminal.
    """
    if every_s is None:
        show()
        return
    if not out.terminal:
        raise click.UsageError("--watch needs a terminal")
    reading.listen()
    reading.watch_output()
    while True:
        with redirect_stdout(_Page()) as page:
            show()
        sys.stdout.write(_screen(page.getvalue().splitlines()))
        sys.stdout.flush()
        reading.await_more(every_s)


def _screen(lines: list[str]) -> str:
    """Return the text that replaces the screen. Lines beyond its height are only counted.

    A terminal would scroll for them, and keep each old screen in its scrollback.
    """
    room = shutil.get_terminal_size().lines - 1
    shown = lines[:room]
    if len(lines) > room:
        shown[-1:] = [f"… {len(lines) - room + 1} more lines"]
    return "".join((HOME_AND_CLEAR, CUT_LINES, *(f"{text}\n" for text in shown), WRAP_LINES))
