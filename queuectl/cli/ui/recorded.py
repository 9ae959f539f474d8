"""Print the answer of a command that changed the queue. If that fails, report what it changed."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ... import exit_codes
from ...escape import visible

RANGES_SHOWN = 5
"""The maximum number of id ranges named in one sentence."""


class AnswerLost(Exception):
    """The change is in the log, but the answer could not be written to standard output.

    recorded: the change, in a few words, such as `jobs 5-9`.
    """

    def __init__(self, error: OSError, recorded: str) -> None:
        super().__init__(
            f"cannot write to standard output: {error.strerror};"
            f" already recorded: {recorded}; do not repeat the command"
        )


@contextmanager
def answering(recorded: Callable[[], str]) -> Iterator[None]:
    """Print, within the block, the answer of a command that has committed its change.

    recorded: returns the words of AnswerLost, which is raised if the answer cannot be written.
    Ctrl-C within the block also says what was recorded.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise AnswerLost(error, recorded()) from None
    except KeyboardInterrupt:
        say(f"interrupted; already recorded: {recorded()}")
        raise


def say(text: str) -> None:
    """Write one line to stderr. A failure to write is ignored and changes no exit code."""
    with suppress(OSError):
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()


def discard_standard_output() -> None:
    """Redirect standard output to /dev/null, so that flushing its buffer cannot fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def report_lost_answer(error: AnswerLost) -> int:
    """Print what was recorded, and return the exit code."""
    discard_standard_output()
    say(f"error: {error}")
    return exit_codes.ANSWER_LOST


def jobs_in_short(ids: Sequence[str]) -> str:
    """Name jobs in short: `job 5`, `jobs 5-1000004`, `jobs nightly, 3, 7-9 and 12 more`."""
    ranges: list[tuple[str, str]] = []
    for job_id in ids:
        if ranges and _follows(ranges[-1][1], job_id):
            ranges[-1] = (ranges[-1][0], job_id)
        else:
            ranges.append((job_id, job_id))
    named = ", ".join(
        first if first == last else f"{first}-{last}" for first, last in ranges[:RANGES_SHOWN]
    )
    more = f" and {len(ranges) - RANGES_SHOWN:,} more" if len(ranges) > RANGES_SHOWN else ""
    return f"{'job' if len(ids) == 1 else 'jobs'} {named or 'none'}{more}"


def _follows(before: str, job_id: str) -> bool:
    numbers = before.isascii() and before.isdecimal() and job_id.isascii() and job_id.isdecimal()
    return numbers and int(job_id) == int(before) + 1
