"""Three hosts in namespaces share a queue; one is cut off, stopped, killed or loses its power."""

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from tests.hosts import missing_for_hosts
from tests.postgres import installations
from tests.torture.partitions import FAULTS, PARTITIONS, UNFENCED, partitions
from tests.torture.proof import assert_holds

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not installations(), reason="no PostgreSQL server is installed"),
    pytest.mark.skipif(missing_for_hosts() is not None, reason=f"lacks {missing_for_hosts()}"),
]


def test_attempts_never_overlap_and_are_taken_over_in_time() -> None:
    assert_holds(PARTITIONS)


def test_without_a_fence_both_attempts_run_at_once() -> None:
    tally = partitions(1, 0, UNFENCED, FAULTS[:1])
    assert any("ran twice" in finding for finding in tally.findings)
