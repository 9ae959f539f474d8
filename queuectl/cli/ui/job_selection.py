"""Select jobs: by ids, `last`, a range `3-9`, `-` for ids on stdin, or by filters."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click
from msgspec.structs import replace

from eventstore.location import locate
from eventstore.store import Reader
from projections.folds.job import STATES, Job, State
from projections.read_models import counts, jobs, sequence
from projections.read_models.jobs import Filter

from ...core.snapshot import Reading
from ...errors import BadInput, NoSuchJob, NotFound
from ...escape import quoted, visible
from ...input.job_filter import job_filter
from ...input.job_ids import ID_RANGE
from ...text.hints import unused_queue
from .foreign_words import FOREIGN_STATES
from .invocation import named_db
from .options import completed_by, queue_name
from .param_types import Word
from .printer import note

R = TypeVar("R")

_PAGE = 1_000


class JobSelection(NamedTuple):
    """The jobs that were selected on the command line, before they are looked up."""

    words: tuple[str, ...]
    filter: Filter | None
    """The filter, if there are no words. With `--all` it may be empty."""
    everything: bool = False
    """Whether `--all` was given."""
    dead_only: bool = False
    """Whether `last` and ranges select among dead jobs only, as in `dlq`."""

    @property
    def by_id(self) -> bool:
        """Whether each job was named individually, not by a range, a filter or `--all`."""
        return self.filter is None and not any(re.fullmatch(ID_RANGE, word) for word in self.words)

    def ids(self, tx: Reader, among: tuple[State, ...] = ()) -> list[str]:
        """Return the ids, each once, in the order given; for a filter, oldest first.

        among: the states that a filter is restricted to if it names none. Raises NotFound if a
        range or `last` matches no job; a single id is not looked up.
        """
        if self.filter is None:
            return list(dict.fromkeys(self._ids_of_words(tx)))
        say_if_unused(tx, self.filter.queue)
        which = replace(self.filter, states=self.filter.states or among)
        return [job.id for job in matching(tx, which)][::-1]

    def _ids_of_words(self, tx: Reader) -> Iterator[str]:
        if len(self.words) > 1:
            _refuse_split_id(tx, self.words)
        for word in self.words:
            yield from _from_stdin(tx) if word == "-" else _ids_of_word(tx, word, self.dead_only)


def matching(tx: Reader, which: Filter, before: int | None = None) -> Iterator[Job]:
    """Yield all jobs that match a filter, newest first, one page in memory at a time.

    before: only jobs born before this position; None for all.
    """
    while page := jobs.page(tx, which, before, _PAGE):
        yield from page
        before = page[-1].born


def say_if_unused(tx: Reader, queue_name: str | None) -> None:
    """Print a note if the queue never had a job: its name may be mistyped."""
    if queue_name is not None and queue_name not in (known := counts.by_queue(tx)):
        note(unused_queue(queue_name, known))


def existing_job(tx: Reader, word: str, *, dead_only: bool = False) -> Job:
    """Return the job that a word names: an id or `last`. Raises NotFound.

    dead_only: whether `last` is the newest dead job.
    """
    job_id = _last(tx, dead_only) if word == "last" else word
    if (job := jobs.get(tx, job_id)) is None:
        raise NoSuchJob(job_id)
    return job


def _from_stdin(tx: Reader) -> Iterator[str]:
    """Yield the ids on standard input: one per line, or several separated by spaces."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise BadInput("standard input is not UTF-8; give ids, one per line") from None
    for text_line in text.split("\n"):
        yield from _ids_on_line(tx, text_line.strip())


def _ids_on_line(tx: Reader, text: str) -> list[str]:
    """Return the ids on a line. If the whole line is the id of a job, it is not split at spaces.

    Raises NoSuchJob if one of several words is not the id of a job.
    """
    words = text.split()
    if len(words) < 2 or jobs.get(tx, text) is not None:
        return [text] if words else []
    missing = [word for word in words if jobs.get(tx, word) is None]
    if missing:
        raise NoSuchJob(missing[0] if len(missing) < len(words) else text)
    return words


def _ids_of_word(tx: Reader, word: str, dead_only: bool) -> list[str]:
    if word == "last":
        return [_last(tx, dead_only)]
    if match := re.fullmatch(ID_RANGE, word):
        return _in_range(tx, int(match[1]), int(match[2]), dead_only)
    return [word]


def _refuse_split_id(tx: Reader, words: tuple[str, ...]) -> None:
    """Raise NotFound if an id with spaces was typed without quotes."""
    for at, word in enumerate(words):
        if word in ("last", "-") or re.fullmatch(ID_RANGE, word) or jobs.get(tx, word) is not None:
            continue
        for joined in _joined_around(words, at):
            if jobs.get(tx, joined) is not None:
                raise NotFound(f"job {visible(word)} not found; did you mean {quoted(joined)}?")
        return


def _joined_around(words: tuple[str, ...], at: int) -> Iterator[str]:
    """Yield each sequence of two to ten words that contains the word at this index, joined."""
    for start in range(max(0, at - 9), at + 1):
        for end in range(max(at + 1, start + 2), min(len(words), start + 10) + 1):
            yield " ".join(words[start:end])


def _last(tx: Reader, dead_only: bool) -> str:
    if dead_only:
        dead = jobs.page(tx, Filter(states=("dead",)), limit=1)
        if not dead:
            raise NotFound("there are no dead jobs")
        return dead[0].id
    if (last := jobs.last_id(tx)) is None:
        raise NotFound("there are no jobs yet; add one with queuectl enqueue")
    return last


def _in_range(tx: Reader, first: int, last: int, dead_only: bool) -> list[str]:
    highest = min(last, sequence.last_number(tx))
    named = (jobs.get(tx, str(number)) for number in range(first, highest + 1))
    ids = [job.id for job in named if job and (job.state == "dead" or not dead_only)]
    if not ids:
        which, command = ("dead jobs", "dlq list") if dead_only else ("jobs", "list")
        raise NotFound(f"no {which} from {first} to {last}; see queuectl {command}")
    return ids


def _recorded_at_us(position: int) -> int:
    """Return when the event at `position` was recorded: UTC, microseconds. Raises NotFound."""
    with closing(Reading(locate(named_db()))) as reading:
        for event in reading.events(position - 1, position):
            return event.recorded_at_us
    raise NotFound(f"the log has no position {position}; queuectl status shows the last one")


queue_option = queue_name("Only jobs in this queue.")
cause_option = click.option(
    "--cause",
    metavar="C",
    shell_complete=completed_by("causes"),
    help="Only jobs that died of C, as lists show it: 'exit 1', SIGKILL, 'timed out'.",
)

_FILTERS = (
    click.option(
        "--state",
        "states",
        metavar="STATE",
        multiple=True,
        type=Word("state", STATES, FOREIGN_STATES),
        help="Only jobs in this state, such as pending or dead (repeatable).",
    ),
    queue_option,
    click.option(
        "--tag",
        "-t",
        metavar="K=V",
        shell_complete=completed_by("tags"),
        help="Only jobs with this tag.",
    ),
    click.option(
        "--since",
        metavar="WHEN",
        help="Enqueued at this time or later: 14:05, 2h (ago), @POSITION.",
    ),
    click.option("--until", metavar="WHEN", help="Enqueued before this time."),
    cause_option,
)


def filter_options(run: Callable[..., R]) -> Callable[..., R]:
    """Add the options that filter jobs, and pass the subcommand `which`, a Filter."""

    @wraps(run)
    def filtered(
        *args: Any,
        states: tuple[str, ...],
        queue: str | None,
        tag: str | None,
        since: str | None,
        until: str | None,
        cause: str | None,
        **kwargs: Any,
    ) -> R:
        which = job_filter(
            states,
            queue=queue,
            tag=tag,
            cause=cause,
            since=since,
            until=until,
            recorded_at_us=_recorded_at_us,
        )
        return run(*args, which=which, **kwargs)

    decorated: Callable[..., R] = filtered
    for option in reversed(_FILTERS):
        decorated = option(decorated)
    return decorated


def selector_options(run: Callable[..., R]) -> Callable[..., R]:
    """Add `JOB...`, the filters and `--all`, and pass the subcommand `chosen`, a JobSelection."""

    @wraps(run)
    def selected(
        *args: Any, words: tuple[str, ...], which: Filter, everything: bool, **kwargs: Any
    ) -> R:
        return run(*args, chosen=_selection(words, which, everything), **kwargs)

    add = click.option("--all", "everything", is_flag=True, help="All jobs.")
    return click.argument(
        "words", metavar="[JOB...]", nargs=-1, shell_complete=completed_by("job_ids")
    )(filter_options(add(selected)))


def _selection(words: tuple[str, ...], which: Filter, everything: bool) -> JobSelection:
    filtering = which != Filter()
    if words and (filtering or everything):
        raise BadInput("give either job IDs or filters, not both")
    if not words and not filtering and not everything:
        raise BadInput(
            "no jobs given; name them (an ID, last, 3-9, - for stdin), use a filter, or give --all"
        )
    return JobSelection(words, None if words else which, everything)
