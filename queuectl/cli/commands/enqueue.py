"""`enqueue`: add jobs from JSON, from a file, or from a command with options."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING, Any

import click

from ...core.clock import SystemClock
from ...core.collector import collector_off
from ...core.requests import NewJob
from ...core.settings import SETTINGS
from ...errors import BadInput, IdTaken, QueueError, Refusal
from ...input.job_options import OPTIONS, JobOption
from ...input.job_spec import as_option, new_job
from ..ui import options
from ..ui.enqueue_answer import EnqueueAnswer
from ..ui.param_types import OfSetting, Whole
from ..ui.printer import Printer
from ..ui.progress import ProgressDisplay
from ..ui.recorded import answering, jobs_in_short

if TYPE_CHECKING:
    from ...core.transaction import Session
    from ...input.job_files import Spool

    Jobs = list[NewJob] | Spool

_WORDS_AFTER_DASHES = "queuectl.words_after_dashes"
"""The key, in click's context, of the number of words after `--`."""


class EnqueueCommand(click.Command):
    """Records how many words came after `--`: only these words are the command of a job."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse like click. Raise BadInput, with the line to type, for a command without `--`."""
        ctx.meta[_WORDS_AFTER_DASHES] = len(args) - args.index("--") - 1 if "--" in args else 0
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            first = self._first_word(ctx, words)
            if first is None or "--" in words or _looks_like_json(words[first]):
                raise
            if any(word.startswith(error.option_name) for word in words[:first]):
                raise
            raise BadInput(_without_dashes(words[:first], words[first:])) from None

    def _first_word(self, ctx: click.Context, args: list[str]) -> int | None:
        """Return the index of the first word that is neither an option nor its value."""
        with_value = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        index = 0
        while index < len(args) and args[index].startswith("-"):
            index += 2 if args[index] in with_value else 1
        return index if index < len(args) else None


def _without_dashes(options_: list[str], words: Sequence[str]) -> str:
    """Return the error message for a command that was typed without `--`."""
    import shlex

    if len(words) == 1 and (os.path.isfile(words[0]) or words[0] == "-"):
        return (
            f"{words[0]!r:.200} is not JSON; to read jobs from a file:"
            f" queuectl enqueue --file {shlex.quote(words[0])}"
        )
    command_line = shlex.join(["queuectl", "enqueue", *options_, "--", *words])
    return f"{words[0]!r:.200} is not JSON; to run it as a command: {command_line:.500}"


def _words_after_dashes() -> int:
    return int(click.get_current_context().meta[_WORDS_AFTER_DASHES])


def _job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each option of a job."""
    for option in reversed(OPTIONS):
        command = _click_option(option)(command)
    return command


def _click_option(option: JobOption) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    names = (as_option(option.key), option.short)
    return click.option(
        *(name for name in names if name),
        metavar=option.metavar,
        type=_type(option),
        multiple=option.repeatable,
        shell_complete=options.completed_by(option.completion) if option.completion else None,
        help=option.help,
    )


def _type(option: JobOption) -> click.ParamType[Any] | None:
    """Return the click type of an option that is a number in JSON; None for other options."""
    if option.bounds:
        return Whole(*option.bounds)
    if option.setting and SETTINGS[option.setting].kind in ("count", "number"):
        return OfSetting(option.setting)
    return None


@click.command(
    "enqueue",
    cls=EnqueueCommand,
    epilog=options.examples(
        """queuectl enqueue '{"command": "echo hello", "max_retries": 2}'""",
        "queuectl enqueue --queue encodes --timeout 2h -- sh -c 'sleep 1; echo done'",
        """echo '{"command": "echo one"}' | queuectl enqueue --file -""",
    ),
)
@click.argument(
    "words",
    metavar="[JSON | -- CMD ARG...]",
    nargs=-1,
    shell_complete=options.completed_by("command_words"),
)
@click.option(
    "--file",
    metavar="F",
    shell_complete=options.completed_by("files"),
    help="Read jobs from F: a JSON object, an array, or one object per line (- for stdin).",
)
@_job_options
@options.dry_run
@options.printer
def enqueue_command(
    words: tuple[str, ...],
    file: str | None,
    dry_run: bool,
    out: Printer,
    **keys: Any,
) -> None:
    """Add jobs to the queue (all or nothing) and print their IDs."""
    keys = {key: value for key, value in keys.items() if value not in (None, ())}
    jobs = _jobs(words, file, keys, after_dashes=_words_after_dashes())
    if not jobs:
        raise BadInput("no jobs given; nothing was enqueued")
    from ..ui.mutations import rehearse

    def act(session: "Session") -> EnqueueAnswer:
        added = EnqueueAnswer(before=session.tx.last[0])
        with ProgressDisplay("enqueuing") as progress, collector_off():
            for n, new in enumerate(jobs, 1):
                job = session.enqueue(new)
                if isinstance(job, QueueError):
                    raise _with_place(job, file, jobs, n)
                added.take(new, job)
                if n % 1000 == 0:
                    progress.show(n, len(jobs))
        return added

    with options.open_queue() as queue:
        if dry_run:
            rehearse(queue, out, act)
            return
        with queue.write() as session:
            added = act(session)
            added.read_context(session.tx, out)
            position, head = session.tx.last
        added.look_for_workers(queue.store, out)
    with answering(lambda: jobs_in_short(added.ids)):
        if out.form == "json":
            from ..ui.json_answers import Accepted

            existing = [job.id for job, _ in added.existing]
            head_hash = head.hex()
            out.document(
                Accepted(position=position, ids=added.ids, existing=existing, head_hash=head_hash)
            )
            added.warn()
        else:
            added.print(out)


def _with_place(refusal: QueueError, file: str | None, jobs: "Jobs", n: int) -> QueueError:
    """Return the refusal of the `n`th job (from 1), with its place if there are several jobs."""
    if len(jobs) == 1 or not isinstance(refusal, IdTaken):
        return refusal
    source = "" if file is None else f"{file}: "
    first = next(i for i, new in enumerate(jobs, 1) if new.id == refusal.job_id)
    problem = str(refusal)
    if first < n:
        problem = (
            f"ID {refusal.job_id} is already used by {_place(jobs, first)} for a different job"
            f" (not the same: {refusal.names})"
        )
    return Refusal(f"{source}{_place(jobs, n)}: {problem}; nothing was enqueued")


def _place(jobs: "Jobs", n: int) -> str:
    return f"job {n}" if isinstance(jobs, list) else jobs.place(n)


def _jobs(
    words: tuple[str, ...], file: str | None, keys: dict[str, Any], after_dashes: int
) -> "Jobs":
    """Return the jobs to enqueue, all of them checked before the queue is opened.

    keys: the values of options, by the key of the job. after_dashes: how many of the words came
    after `--`. Raises BadInput or click's UsageError.
    """
    if len(words) > max(after_dashes, 1):
        if not _looks_like_json(words[0]):
            raise BadInput(_without_dashes(_as_options(keys), words))
        raise BadInput("give either JSON or a command, not both; put several jobs in an array")
    if after_dashes and file is None:
        command = {"command": words[0]} if len(words) == 1 else {"argv": list(words)}
        return [new_job({**keys, **command}, SystemClock().wall_us(), named=as_option)]
    if words and not _looks_like_json(words[0]) and file is None:
        raise BadInput(_without_dashes(_as_options(keys), words))
    if keys:
        raise BadInput(
            f"{as_option(next(iter(keys)))} needs -- CMD; in JSON, set it as a key of the job"
        )
    if file is not None and not words:
        return _from_file(file)
    if len(words) == 1 and file is None:
        return _from_json(words[0])
    raise click.UsageError("give a job as one JSON text, --file F, or -- CMD ARG")


def _from_json(text: str) -> "Jobs":
    from ...input.job_files import jobs_from_json

    return jobs_from_json(text.encode(errors="surrogateescape"), SystemClock().wall_us())


def _looks_like_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "[", '"'))


def _as_options(keys: dict[str, Any]) -> list[str]:
    """Return the words with which these options are typed."""
    words = []
    for key, value in keys.items():
        for text in value if isinstance(value, tuple) else (value,):
            words += [as_option(key), f"{text:g}" if isinstance(text, float) else str(text)]
    return words


def _from_file(name: str) -> "Jobs":
    from ...input.job_files import Spool

    try:
        with _opened(name) as source, ProgressDisplay("checking jobs") as progress:
            return Spool(source, SystemClock().wall_us(), progress.show)
    except BadInput as error:
        raise BadInput(f"{name}: {error}; nothing was enqueued") from None
    except OSError as error:
        raise BadInput(f"{name}: {error.strerror}; nothing was enqueued") from None


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb")
