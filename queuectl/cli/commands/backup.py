"""`backup`: copy the queue, as it is at this moment, to another file."""

import os
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import click

from eventstore.errors import Missing

from ... import exit_codes
from ...core.snapshot import Reading
from ...text.numbers import plural
from ...text.sizes import size
from ..ui import options
from ..ui.heads import HeadFile
from ..ui.output_problems import problem_lines
from ..ui.printer import Printer, line, note
from ..ui.progress import ProgressDisplay
from ..ui.recorded import answering

if TYPE_CHECKING:
    from ...backup import Backup


@click.command(
    "backup",
    epilog=options.examples(
        "queuectl backup monday.db --head monday.head",
        "queuectl backup --force nightly.db --head nightly.head",
    ),
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--force", is_flag=True, help="Replace an older backup of this queue.")
@click.option(
    "--head", metavar="F", type=click.Path(), help="Also write the head to F, after the backup."
)
@options.printer
@options.reading
def backup_command(reading: Reading, out: Printer, file: str, force: bool, head: str | None) -> int:
    """Back up the queue while workers run, and print its head."""
    from ...backup import backup

    if reading.store is None:
        raise Missing(reading.location.name)
    target = os.path.abspath(file)
    here = reading.location
    databases = (target,) if here.on_server else (here.file, target)
    with closing(HeadFile(head, databases)) if head else nullcontext() as head_file:
        with ProgressDisplay("copying") as progress:
            done = backup(reading.store, target, "replace" if force else "refuse", progress.show)
        if head_file is not None:
            head_file.write(done.head)
    head_text = f"{done.head.position}:{done.head.hash}"
    with answering(lambda: f"backup {done.path} with head {head_text}"):
        _answer(out, done, head_text)
    changed = any(problem.kind == "changed" for problem in done.problems)
    return exit_codes.INTEGRITY if changed else exit_codes.DONE


def _answer(out: Printer, done: "Backup", head_text: str) -> None:
    if out.form == "json":
        from ..ui.json_answers import BackedUp

        out.document(
            BackedUp(
                position=done.head.position,
                head_hash=done.head.hash,
                path=done.path,
                bytes=done.size_bytes,
                outputs=done.outputs,
                problems=[problem.words for problem in done.problems],
            )
        )
        return
    outputs = f", {plural(done.outputs, 'long output')} in {done.path}.d" if done.outputs else ""
    events = plural(done.head.position, "event")
    note(f"wrote {done.path}: {events}, {size(done.size_bytes)}{outputs}; verified")
    for text in problem_lines(done.problems, left_out=True):
        note(text)
    line(head_text)
