"""`doctor`: find problems of the queue file and the machine, and suggest fixes."""

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
        examination = examine(reading, deep, lambda done, total: progress.show(done, total))
    if out.form == "json":
        _print_json(out, reading, examination)
    elif out.terminal:
        _print_for_terminal(out, reading, examination, verbose)
    else:
        for finding in examination.findings:
            todo = with_named_db(finding.todo or "")
            words = (finding.level, finding.check, finding.result, todo)
            line("\t".join(map(visible, words)))
    return exit_codes.DONE if examination.healthy else exit_codes.NO


MARKS: dict[Level, tuple[str, str]] = {
    "ok": ("✓", "completed"),
    "note": ("!", "failed"),
    "problem": ("✗", "dead"),
}
"""The sign of each level, and the job state in whose colour it is printed."""


def _print_for_terminal(
    out: Printer, reading: Reading, examination: Examination, verbose: bool
) -> None:
    """Print the findings that need attention (with `verbose` all of them), then a summary."""
    shown = [finding for finding in examination.findings if verbose or finding.level != "ok"]
    width = max((len(finding.check) for finding in shown), default=0)
    for finding in shown:
        sign = out.painted(*MARKS[finding.level])
        line(f"{sign} {finding.check:<{width}}  {visible(finding.result)}")
        if finding.todo:
            line(f"  {'':<{width}}  → {visible(with_named_db(finding.todo))}")
    levels = [finding.level for finding in examination.findings]
    problems, notes = levels.count("problem"), levels.count("note")
    counts = [plural(problems, "problem")] * bool(problems) + [plural(notes, "note")] * bool(notes)
    summary = ", ".join(counts) if counts else "everything is in order"
    location = reading.location
    more = "" if verbose else f"; {plural(len(levels), 'check')} (--verbose shows all)"
    line(f"{visible(location.name)} ({location.reason}): {summary}{more}")


def _print_json(out: Printer, reading: Reading, examination: Examination) -> None:
    from ...json_shapes import CheckShape, Checkup

    file = examination.file
    fsync_ms = file.fsync if isinstance(file.fsync, float) else None
    checks = [
        CheckShape(
            check=finding.check,
            level=finding.level,
            well=finding.level != "problem",
            found=finding.result,
            todo=None if finding.todo is None else with_named_db(finding.todo),
        )
        for finding in examination.findings
    ]
    out.document(
        Checkup(
            position=examination.head.position if examination.head else 0,
            well=examination.healthy,
            db=reading.location.name,
            why=reading.location.why,
            versions=examination.versions,
            head_hash=examination.head.hash if examination.head else None,
            wal_bytes=file.wal_bytes,
            free_bytes=file.free_bytes,
            fsync_s=None if fsync_ms is None else fsync_ms / 1000,
            checks=checks,
        )
    )
