"""A primary server dies and its standby takes over, under programs that write."""

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from tests.stores import SAMPLED_SERVERS
from tests.torture.server_failover import failovers

FAILOVERS = 3

pytestmark = [
    pytest.mark.proof,
    pytest.mark.parametrize("installation", SAMPLED_SERVERS),
    pytest.mark.skipif(SAMPLED_SERVERS == ["none"], reason="no PostgreSQL server is installed"),
]


def test_synchronous_failover_loses_nothing_acknowledged(installation: str) -> None:
    tally = failovers(installation, FAILOVERS, 0, "synchronous")
    assert tally.findings == []


def test_asynchronous_failover_that_loses_events_is_noticed(installation: str) -> None:
    tally = failovers(installation, FAILOVERS, 0, "asynchronous")
    assert tally.findings == []
    assert " 0 lost" not in tally.note
