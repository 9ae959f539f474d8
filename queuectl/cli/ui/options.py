"""Options and decorators of the subcommands: they open the queue and provide the printer."""

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from .invocation import named_db
from .param_types import Seconds, Whole
from .printer import Form, Printer, note

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ...api import Queue
    from ...core.snapshot import Reading

P = ParamSpec("P")
R = TypeVar("R")


def examples(*lines: str) -> str:
    """Return the end of a subcommand's help: example lines that work as printed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def completed_by(
    name: str,
) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]":
    """Return a completion that calls the function `name` of `completion.py`.

    The module is imported only when a shell asks for completions.
    """

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        from . import completion

        items: list[CompletionItem] = getattr(completion, name)(ctx, param, incomplete)
        return items

    return complete


def reading(run: "Callable[Concatenate[Reading, P], R]") -> Callable[P, R]:
    """Pass the subcommand the queue, opened for reading, and close it afterwards."""

    @wraps(run)
    def opened(*args: P.args, **kwargs: P.kwargs) -> R:
        from eventstore.location import locate

        from ...core.snapshot import Reading

        source = Reading(locate(named_db()))
        try:
            return run(source, *args, **kwargs)
        finally:
            source.close()

    return opened


def queue(run: "Callable[Concatenate[Queue, P], R]") -> Callable[P, R]:
    """Pass the subcommand the queue, opened for writing and created if it is missing."""

    @wraps(run)
    def opened(*args: P.args, **kwargs: P.kwargs) -> R:
        with open_queue() as target:
            return run(target, *args, **kwargs)

    return opened


def existing_queue(run: "Callable[Concatenate[Queue, P], R]") -> Callable[P, R]:
    """Pass the subcommand the queue, opened for writing, to change existing jobs or workers.

    No queue file is created. A missing file counts as an empty queue, unless --db names it: then
    Missing is raised.
    """

    @wraps(run)
    def opened(*args: P.args, **kwargs: P.kwargs) -> R:
        with open_queue(create=False) as target:
            return run(target, *args, **kwargs)

    return opened


def open_queue(*, create: bool = True) -> "Queue":
    """Open the queue for writing. If it is created, print a note with its path.

    With --dry-run, or without `create`, a missing queue is not created: a temporary empty queue is
    returned. Raises Missing if `create` is false and --db names a missing file.
    """
    from eventstore.location import exists, locate, missing

    from ...api import Queue

    location = locate(named_db())
    is_new = not exists(location)
    if is_new and not create and location.named:
        raise missing(location)
    if is_new and (not create or click.get_current_context().params.get("dry_run")):
        return _temporary_queue()
    target = Queue(location.place if location.named else None, on_wait=note)
    if is_new:
        note(f"created queue {location.name}")
    return target


def _temporary_queue() -> "Queue":
    """Return an empty queue that is removed when the command ends."""
    from tempfile import TemporaryDirectory

    from ...api import Queue

    folder = TemporaryDirectory(prefix="queuectl-")
    click.get_current_context().call_on_close(folder.cleanup)
    return Queue(os.path.join(folder.name, "queue.db"))


def printer(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--json`, and pass the subcommand `out`, a Printer."""

    @wraps(run)
    def printing(*args: Any, form: Form, **kwargs: Any) -> R:
        return run(*args, out=Printer(form), **kwargs)

    add = click.option("--json", "form", flag_value="json", help="Output JSON.")
    return add(printing)


def list_printer(run: Callable[..., R]) -> Callable[..., R]:
    """Add `--json` and `--jsonl`, for lists, and pass the subcommand `out`, a Printer."""
    add = click.option("--jsonl", "form", flag_value="jsonl", help="Output JSON Lines.")
    return add(printer(run))


def queue_name(help_: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return the option `--queue Q`, which completes queue names. help_: the help text."""
    return click.option(
        "--queue", "-q", metavar="Q", shell_complete=completed_by("queues"), help=help_
    )


def worker_options(run: Callable[..., R]) -> Callable[..., R]:
    """Add the options of a worker that a service has too: `--count N` and `--queue Q`."""
    count = click.option(
        "--count",
        "-n",
        metavar="N",
        type=Whole(1, 1000),
        default=1,
        help="Number of jobs to run at a time [default: 1].",
    )
    queues = click.option(
        "--queue",
        "queues",
        metavar="Q",
        shell_complete=completed_by("queues"),
        multiple=True,
        help="Serve only this queue (repeatable).",
    )
    return count(queues(run))


reason = click.option("--reason", metavar="TEXT", help="Reason to record in the log.")
dry_run = click.option(
    "--dry-run", is_flag=True, help="Print the events that would be recorded; record nothing."
)
yes = click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Do not ask for confirmation. Only a terminal asks, if a range, a filter or --all"
    " selects several jobs.",
)
watch_option = click.option(
    "--watch",
    "watch_s",
    metavar="[S]",
    type=Seconds(),
    is_flag=False,
    flag_value=2.0,
    help="Refresh on every change, and at least every S seconds [default: 2].",
)
