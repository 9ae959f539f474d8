"""`doctor`: what is wrong with the queue file or the machine, and what to do about it."""

import click

from ..doctor.checks import Finding
from ..doctor.examine import Examination, examine
from ..reading import Reading
from ..visible import visible
from ..wording import plural
from . import exits, options
from .asked import typed
from .printer import Printer, line
from .progress import Progress


@click.command("doctor", epilog=options.examples("queuectl doctor", "queuectl doctor --deep"))
@click.option("--deep", is_flag=True, help="Also check every record, page and row.")
@options.printer
@options.reading
def doctor_command(reading: Reading, out: Printer, deep: bool) -> int:
    """Check the queue and this machine; exit 1 and suggest fixes."""
    with Progress("looking") as progress:
        found = examine(reading, deep, lambda done, total: progress.show(done, total))
    if out.form == "json":
        _document(out, reading, found)
    elif out.terminal:
        _picture(out, found)
    else:
        for one in found.findings:
            words = (_verdict(one), one.check, one.found, typed(one.todo or ""))
            line("\t".join(map(visible, words)))
    return exits.DONE if found.well else exits.NO


def _verdict(one: Finding) -> str:
    return "problem" if one.todo else "ok"


def _picture(out: Printer, found: Examination) -> None:
    width = max(len(one.check) for one in found.findings)
    for one in found.findings:
        mark = out.painted("✗", "dead") if one.todo else out.painted("✓", "completed")
        line(f"{mark} {one.check:<{width}}  {visible(one.found)}")
        if one.todo:
            line(f"  {'':<{width}}  → {visible(typed(one.todo))}")
    problems = sum(one.todo is not None for one in found.findings)
    line(plural(problems, "problem") if problems else "all is well")


def _document(out: Printer, reading: Reading, found: Examination) -> None:
    from ..shapes import CheckShape, Checkup

    ms = found.fsync_ms
    checks = [
        CheckShape(
            check=one.check,
            well=one.todo is None,
            found=one.found,
            todo=None if one.todo is None else typed(one.todo),
        )
        for one in found.findings
    ]
    out.document(
        Checkup(
            position=found.head.position if found.head else 0,
            well=found.well,
            db=reading.location.path,
            why=reading.location.why,
            versions=found.versions,
            head_hash=found.head.hash if found.head else None,
            wal_bytes=found.wal_bytes,
            free_bytes=found.free_bytes,
            fsync_s=None if ms is None else ms / 1000,
            checks=checks,
        )
    )
