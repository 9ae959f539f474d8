"""Format lines about outputs that differ from the log."""

from collections.abc import Iterator, Sequence

from ...outputs.check import OutputProblem

SHOWN = 20
"""The maximum number of problems printed; JSON has all of them."""


def problem_lines(problems: Sequence[OutputProblem], *, left_out: bool = False) -> Iterator[str]:
    """Yield one line per problem, and a last line with the number of problems not shown.

    left_out: whether changed outputs were left out of a backup.
    """
    for problem in problems[:SHOWN]:
        ending = "; it was left out" if left_out and problem.kind == "changed" else ""
        yield f"{problem.words}{ending}"
    if len(problems) > SHOWN:
        yield f"... and {len(problems) - SHOWN:,} more"
