"""`--watch`: show an answer again and again, a page of it on a cleared screen."""

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
    """Caught for the terminal: so it is written as for one."""

    def isatty(self) -> bool:
        """As what it goes to."""
        return True


def watch(reading: Reading, out: Printer, show: Callable[[], None], every_s: float | None) -> None:
    """Show once; or, with `every_s`, whenever the log grows and at least that often."""
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
    """What fits on one: a longer answer would scroll, and leave its rest behind each time."""
    room = shutil.get_terminal_size().lines - 1
    shown = lines[:room]
    if len(lines) > room:
        shown[-1:] = [f"… {len(lines) - room + 1} more lines"]
    return "".join((HOME_AND_CLEAR, CUT_LINES, *(f"{text}\n" for text in shown), WRAP_LINES))
