"""Shell completion of files and programs, and of ids, queues, tags and workers from the queue.

Completion never writes and never creates a queue. If there is an error, it offers no words and
prints nothing.
The words come from jobs, so they may be hostile: words with control characters are left out, and
words are quoted for bash, which would insert them unchanged.
"""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from eventstore.errors import StoreError
from eventstore.location import locate
from eventstore.store import Reader
from projections.errors import StaleReadModels
from projections.folds.job import State
from projections.read_models import counts, dead, jobs, workers
from projections.read_models.jobs import Filter

from ...core.snapshot import Reading
from ...errors import QueueError
from ...escape import visible

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

NEWEST_JOBS = 200
"""The number of newest jobs whose ids and tags are offered."""

OFFERED_AT_MOST = 50
"""The maximum number of words offered."""

PROGRAMS_AT_MOST = 500

STATES_TAKEN: dict[str, tuple[State, ...]] = {
    "cancel": ("pending", "processing", "failed", "scheduled"),
    "retry": ("failed", "scheduled", "dead"),
    "dlq retry": ("dead",),
    "dlq discard": ("dead",),
    "dlq show": ("dead",),
}
"""The states of the jobs that a subcommand accepts; the other subcommands accept any state."""


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file name."""
    return [CompletionItem(incomplete, type="file")]


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the name of a folder."""
    return [CompletionItem(incomplete, type="dir")]


def command_words(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the command of a job, after `--`: first a program, then file names."""
    if not ctx.params.get("words") and "/" not in incomplete:
        programs = [CompletionItem(name) for name in _programs(incomplete)]
        if programs:
            return programs
    return files(ctx, param, incomplete)


def _programs(prefix: str) -> list[str]:
    names: set[str] = set()
    for folder in os.get_exec_path():
        try:
            with os.scandir(folder) as entries:
                names |= {entry.name for entry in entries if entry.name.startswith(prefix)}
        except OSError:
            continue
    return sorted(names)[:PROGRAMS_AT_MOST]


def job_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the ids of jobs that the subcommand accepts, newest first."""
    states = STATES_TAKEN.get(ctx.command_path.removeprefix("queuectl "), ())

    def words(tx: Reader, prefix: str) -> Iterable[tuple[str, str]]:
        for job in jobs.page(tx, Filter(states=states), limit=NEWEST_JOBS):
            yield job.id, f"{job.state}: {job.spec.command}"
        older = jobs.get(tx, prefix) if prefix else None
        if older is not None:
            yield older.id, older.spec.command

    return _from_queue(words)(ctx, param, incomplete)


def _queues(tx: Reader, _: str) -> Iterable[tuple[str, str]]:
    return ((name, "") for name in sorted(counts.by_queue(tx)))


def _tags(tx: Reader, _: str) -> Iterable[tuple[str, str]]:
    for job in jobs.page(tx, Filter(), limit=NEWEST_JOBS):
        for key, value in job.spec.tags.items():
            yield f"{key}={value}", ""


def _workers(tx: Reader, _: str) -> Iterable[tuple[str, str]]:
    for worker in workers.active(tx):
        yield worker.id, worker.started.name
        yield worker.started.name, worker.id


def _causes(tx: Reader, _: str) -> Iterable[tuple[str, str]]:
    from ...text.causes import cause_words

    return ((cause_words(group.cause), group.queue) for group in dead.groups(tx, NEWEST_JOBS))


def _from_queue(words: Callable[[Reader, str], Iterable[tuple[str, str]]]) -> Complete:
    """Return a completion function. words: yields words from the queue, each with a description."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        db = ctx.find_root().obj
        try:
            with closing(Reading(locate(db))) as reading, reading.read() as tx:
                items = {
                    word: CompletionItem(word, help=visible(description)[:60])
                    for word, description in words(tx, incomplete)
                    if word.startswith(incomplete) and word and visible(word) == word
                }
        except (StoreError, QueueError, StaleReadModels, OSError):
            return []
        return list(items.values())[:OFFERED_AT_MOST]

    return complete


def background(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `--background`: what to do with the processes that a job leaves running."""
    return _starting(("end", "keep"), incomplete)


def subcommands(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the subcommands of the group that the previous words name."""
    group: click.Command | None = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        group = group.get_command(ctx, word) if isinstance(group, click.Group) else None
    return _starting(group.list_commands(ctx), incomplete) if isinstance(group, click.Group) else []


def _starting(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def settings(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the keys of settings."""
    from ...core.settings import SETTINGS

    return [
        CompletionItem(setting.key, help=setting.help)
        for setting in SETTINGS.values()
        if setting.key.startswith(incomplete)
    ]


causes = _from_queue(_causes)
queues = _from_queue(_queues)
tags = _from_queue(_tags)
worker_names = _from_queue(_workers)

_BREAKS = re.compile("^.*[:=]", re.DOTALL)
"""Bash treats the text after a `:` or a `=` as a separate word, and replaces only that."""


class Bash(BashComplete):
    """click's completion for bash, with quoting, and with support for `:` and `=` in words."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = """\
%(complete_func)s() {
    local line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%%%,*}
        value=${line#*,}
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete $1 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the incomplete word at the cursor."""
        from click.shell_completion import split_arg_string

        command_line = os.environ.get("COMP_LINE")
        if command_line is None:
            return super().get_completion_args()
        words = split_arg_string(command_line)
        incomplete = "" if not words or command_line[-1:].isspace() else words.pop()
        self._done = match[0] if (match := _BREAKS.match(incomplete)) else ""
        return words[1:], incomplete

    _done = ""
    """The start of the incomplete word, which bash keeps: completions are printed without it."""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return the type and the quoted word, without the part that bash keeps."""
        from ...escape import quoted

        word = str(item.value).removeprefix(self._done)
        return f"{item.type},{quoted(word) if item.type == 'plain' and word else word}"


def install_bash() -> None:
    """Make click use `Bash` for completion in bash."""
    add_completion_class(Bash)
