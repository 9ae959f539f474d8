"""`--watch`: show an answer again and again, on a cleared screen."""

import sys
from collections.abc import Callable

import click

from ..reading import Reading
from .printer import Printer

HOME_AND_CLEAR = "\x1b[H\x1b[J"


def watch(reading: Reading, out: Printer, show: Callable[[], None], every_s: float | None) -> None:
    """Show once; or, with `every_s`, whenever the log grows and at least that often."""
    if every_s is None:
        show()
        return
    if not out.terminal:
        raise click.UsageError("--watch is for a terminal")
    reading.hang_bell()
    while True:
        sys.stdout.write(HOME_AND_CLEAR)
        show()
        reading.await_more(every_s)
