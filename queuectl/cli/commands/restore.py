"""`restore`: replace the queue by a backup."""

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from eventstore.errors import RestoreOnServer
from eventstore.location import locate

from ...text.numbers import plural
from ..ui import options
from ..ui.heads import head_from
from ..ui.invocation import named_db
from ..ui.output_problems import problem_lines
from ..ui.printer import Printer, line, note
from ..ui.progress import ProgressDisplay
from ..ui.recorded import answering

if TYPE_CHECKING:
    from ...restore import Restored


@click.command(
    "restore",
    epilog=options.examples(
        "queuectl restore --force --dry-run nightly.db",
        "queuectl restore --force nightly.db --expect @nightly.head",
    ),
)
@click.argument("backup", metavar="BACKUP", type=click.Path())
@click.option(
    "--expect",
    metavar="P:HASH",
    help="Restore only a backup that contains this head; @FILE reads it from a file.",
)
@click.option("--force", is_flag=True, help="Replace a queue that has events the backup lacks.")
@click.option("--dry-run", is_flag=True, help="Check everything, but change nothing.")
@options.printer
def restore_command(
    out: Printer, backup: str, expect: str | None, force: bool, dry_run: bool
) -> None:
    """Replace the queue by a verified backup; keeps the old queue."""
    from ...restore import restore

    location = locate(named_db())
    if location.on_server:
        raise RestoreOnServer(location.name)
    expected = None if expect is None else head_from(expect)
    source = os.path.abspath(backup)
    with ProgressDisplay("verifying") as progress:
        done = restore(
            source,
            location.file,
            expected,
            "replace" if force else "refuse",
            dry_run=dry_run,
            on_progress=progress.show,
        )
    with (
        nullcontext()
        if dry_run
        else answering(lambda: f"queue {done.path}, restored from {source}")
    ):
        _answer(out, done, source, dry_run)


def _answer(out: Printer, done: "Restored", source: str, dry_run: bool) -> None:
    if out.form == "json":
        from ..ui.json_answers import RestoredFrom

        out.document(
            RestoredFrom(
                position=done.head.position,
                head_hash=done.head.hash,
                path=done.path,
                backup=source,
                kept_as=done.kept_as,
                discarded_events=done.discarded,
                outputs=done.outputs,
                problems=[problem.words for problem in done.missing],
                dry_run=dry_run,
            )
        )
        return
    for text in (*_notes(done, source, dry_run), *problem_lines(done.missing)):
        note(text)
    line(f"{done.head.position}:{done.head.hash}")


def _notes(done: "Restored", source: str, dry_run: bool) -> list[str]:
    events = plural(done.head.position, "event")
    if dry_run:
        notes = [f"would restore {done.path} from {source}: {events}, verified"]
    else:
        notes = [f"restored {done.path} from {source}: {events}, verified"]
    if done.kept_as is not None:
        keeps = "would be kept" if dry_run else "was kept"
        verb = "is" if done.discarded == 1 else "are"
        without = f"; {plural(done.discarded, 'event')} of it {verb} not in the backup"
        notes.append(f"the old queue {keeps} as {done.kept_as}{without if done.discarded else ''}")
    return notes
