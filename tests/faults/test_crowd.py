"""Many hosts work on one queue on a server while many programs enqueue."""

from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from tests.hosts import missing_for_hosts
from tests.postgres import installations
from tests.torture.crowd import CROWD, overlaps
from tests.torture.proof import assert_holds


@pytest.mark.proof
@pytest.mark.skipif(not installations(), reason="no PostgreSQL server is installed")
@pytest.mark.skipif(missing_for_hosts() is not None, reason=f"lacks {missing_for_hosts()}")
def test_many_hosts_and_programs_make_no_errors() -> None:
    assert_holds(CROWD)


def test_attempts_that_run_at_the_same_time_are_noticed(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.write_text("begin 7 1\nbegin 8 1\nbegin 7 2\nend 7 2\nend 7 1\n")
    assert list(overlaps([marks])) == [
        "attempt 2 of job 7 began before the last one ended",
        "job 8 began and did not end",
    ]
