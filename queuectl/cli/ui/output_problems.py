"""Lines about outputs that are not what the log recorded."""

from collections.abc import Iterator, Sequence

from ...outputs.check import OutputProblem

SHOWN = 20
"""Problems that are printed; JSON has all of them."""


def problem_lines(problems: Sequence[OutputProblem], *, left_out: bool = False) -> Iterator[str]:
    """Yield a line for each problem, and for the number of those that are not shown.

    left_out: whether changed outputs were left out of a backup.
    """
    for problem in problems[:SHOWN]:
        ending = "; it was left out" if left_out and problem.kind == "changed" else ""
        yield f"{problem.words}{ending}"
    if len(problems) > SHOWN:
        yield f"... and {len(problems) - SHOWN:,} more"
