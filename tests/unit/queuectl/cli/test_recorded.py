"""How recorded jobs are named in one line."""

import pytest

from queuectl.cli.ui.recorded import jobs_in_short


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["5"], "job 5"),
        ([str(n) for n in range(5, 1_000_005)], "jobs 5-1000004"),
        (["nightly", "3", "7", "8", "9"], "jobs nightly, 3, 7-9"),
        (["9", "8"], "jobs 9, 8"),
        ([f"job{n}" for n in range(17)], "jobs job0, job1, job2, job3, job4 and 12 more"),
    ],
)
def test_ids_in_a_row_are_named_as_a_range(ids: list[str], words: str) -> None:
    assert jobs_in_short(ids) == words
