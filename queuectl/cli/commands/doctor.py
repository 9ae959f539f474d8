"""`doctor`: what is wrong with the queue file or the machine, and what to do about it."""

import click

from ... import exit_codes
from ...core.snapshot import Reading
from ...doctor.checks import Level
from ...doctor.report import Examination, examine
from ...escape import visible
from ...text.numbers import plural
from ..ui import options
from ..ui.invocation import with_named_db
from ..ui.printer import Printer, line
from ..ui.progress import ProgressDisplay


@click.command("doctor", epilog=options.examples("queuectl doctor", "queuectl doctor --deep"))
@click.option("--deep", is_flag=True, help="Also check every record, page and row.")
@click.option("--verbose", "-v", is_flag=True, help="Also show the checks that found nothing.")
@options.printer
@options.reading
def doctor_command(reading: Reading, out: Printer, deep: bool, verbose: bool) -> int:
    """Check the queue and this machine; exit 1 and suggest fixes."""
    with ProgressDisplay("checking") as progress:
        found = examine(reading, deep, lambda done, total: progress.show(done, total))
    if out.form == "json":
        _document(out, reading, found)
    elif out.terminal:
        _picture(out, reading, found, verbose)
    else:
        for one in found.findings:
            words = (one.level, one.check, one.result, with_named_db(one.todo or ""))
            line("\t".join(map(visible, words)))
    return exit_codes.DONE if found.healthy else exit_codes.NO


MARKS: dict[Level, tuple[str, str]] = {
    "ok": ("✓", "completed"),
    "note": ("!", "failed"),
    "problem": ("✗", "dead"),
}
"""Of each level its sign, and the state that has its colour."""


def _picture(out: Printer, reading: Reading, found: Examination, verbose: bool) -> None:
    """What needs attention, or all; then one line that sums it up."""
    shown = [one for one in found.findings if verbose or one.level != "ok"]
    width = max((len(one.check) for one in shown), default=0)
    for one in shown:
        line(f"{out.painted(*MARKS[one.level])} {one.check:<{width}}  {visible(one.result)}")
        if one.todo:
            line(f"  {'':<{width}}  → {visible(with_named_db(one.todo))}")
    levels = [one.level for one in found.findings]
    problems, notes = levels.count("problem"), levels.count("note")
    said = [plural(problems, "problem")] * bool(problems) + [plural(notes, "note")] * bool(notes)
    summary = ", ".join(said) if said else "everything is in order"
    location = reading.location
    more = "" if verbose else f"; {plural(len(levels), 'check')} (--verbose shows all)"
    line(f"{visible(location.path)} ({location.reason}): {summary}{more}")


def _document(out: Printer, reading: Reading, found: Examination) -> None:
    from ...json_shapes import CheckShape, Checkup

    ms = found.fsync if isinstance(found.fsync, float) else None
    checks = [
        CheckShape(
            check=one.check,
            level=one.level,
            well=one.level != "problem",
            found=one.result,
            todo=None if one.todo is None else with_named_db(one.todo),
        )
        for one in found.findings
    ]
    out.document(
        Checkup(
            position=found.head.position if found.head else 0,
            well=found.healthy,
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
