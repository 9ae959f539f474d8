"""`migrate`: move the queue to another place, after which the old one can only be read.

If it is interrupted, the same command goes on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from eventstore.location import exists, locate, missing
from eventstore.store import OnProgress

from ... import exit_codes
from ...text.numbers import plural
from ..ui import options
from ..ui.invocation import named_db
from ..ui.output_problems import problem_lines
from ..ui.printer import Printer, line, note
from ..ui.progress import ProgressDisplay
from ..ui.recorded import answering, say

if TYPE_CHECKING:
    from ...migrate import Migrated


@click.command(
    "migrate",
    epilog=options.examples(
        "queuectl migrate jobs.db postgresql://db.example/jobs",
        "queuectl migrate --wait postgresql://db.example/jobs jobs-2.db",
    ),
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--wait", is_flag=True, help="Stop all workers of FROM first, when their jobs have ended."
)
@click.option(
    "--lost", is_flag=True, help="FROM has moved, and that place is lost: copy FROM as it was then."
)
@options.printer
def migrate_command(out: Printer, source: str, target: str, wait: bool, lost: bool) -> int:
    """Move the queue FROM to TO: a new file, or an empty queue on a server."""
    from ...api import Queue
    from ...migrate import migrate

    if named_db() is not None:
        raise click.UsageError("migrate takes the queue as FROM, not by --db")
    old, new = locate(source), locate(target)
    if not exists(old):
        raise missing(old)
    with Queue(old.place, on_wait=note) as queue, _resumable():
        done = migrate(
            queue, new, "drain" if wait else "refuse", "lost" if lost else "refuse", _showing
        )
    with answering(lambda: f"queue {done.source} has moved to {done.target}"):
        _answer(out, done)
    changed = any(problem.kind == "changed" for problem in done.problems)
    return exit_codes.INTEGRITY if changed else exit_codes.DONE


@contextmanager
def _showing(step: str) -> Iterator[OnProgress]:
    with ProgressDisplay(step) as progress:
        yield progress.show


@contextmanager
def _resumable() -> Iterator[None]:
    """Say after Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; the same command continues")
        raise


def _answer(out: Printer, done: "Migrated") -> None:
    position, hash_ = done.head
    if out.form == "json":
        from ..ui.json_answers import MovedTo

        out.document(
            MovedTo(
                position=position,
                head_hash=hash_,
                source=done.source,
                target=done.target,
                problems=[problem.words for problem in done.problems],
            )
        )
        return
    note(f"moved {done.source} to {done.target}, which is verified; the old queue is read-only")
    for text in problem_lines(done.problems):
        note(text)
    line(f"{plural(position, 'event')}, head {position}:{hash_} the same in both")
