"""A primary server dies and its standby takes over, under programs that write."""

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from tests.ctl import UNPOLLED_S, Ctl, until
from tests.stores import SAMPLED_SERVERS
from tests.torture.server_failover import (
    address_of_both,
    failovers,
    primary_and_standby,
    stop_replication,
)

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


def test_worker_goes_on_after_a_synchronous_failover(ctl: Ctl, installation: str) -> None:
    with primary_and_standby(installation, "synchronous") as (primary, standby):
        ctl.env["QUEUECTL_DB"] = address_of_both(primary, standby, "worked")
        ctl("init")
        running = ctl.enqueue("sleep 2")
        with ctl.worker("--count", "2"):
            ctl("wait", ctl.enqueue("true"))
            primary.kill()
            standby.promote()
            next_one = ctl.enqueue("true")
            ctl("wait", running, next_one)
        assert len(ctl.show(running)["attempts"]) == 1
        ctl("verify")


def test_standby_can_be_read_and_says_that_it_cannot_be_written(
    ctl: Ctl, installation: str
) -> None:
    with primary_and_standby(installation, "synchronous") as (primary, standby):
        ctl("init", primary.url("read"))
        job = ctl("--db", primary.url("read"), "enqueue", "--", "true").out.strip()
        ctl.env["QUEUECTL_DB"] = standby.url("read")
        until(lambda: ctl("list").jobs == [job] or None, "the standby has the job")
        ctl("verify")
        for words in (("enqueue", "--", "true"), ("replay",)):
            assert "is on a standby server" in ctl(*words, code=6).err
        problems = [line for line in ctl("doctor", code=1).lines if line.startswith("problem")]
        assert len(problems) == 1
        assert "this server is a standby: nothing can be recorded" in problems[0]


def test_idle_worker_stops_after_a_failover_that_lost_events(ctl: Ctl, installation: str) -> None:
    with primary_and_standby(installation, "asynchronous") as (primary, standby):
        ctl.env["QUEUECTL_DB"] = address_of_both(primary, standby, "worked")
        ctl("init")
        with ctl.worker() as worker:
            ctl("wait", ctl.enqueue("true"))
            stop_replication(primary)
            ctl("wait", ctl.enqueue("true"))  # its events will be lost
            primary.kill()
            standby.promote()
            ended = worker.ends(UNPOLLED_S)
        assert (ended.code, "no longer contains event" in ended.err) == (5, True)
        ctl("verify")
        ctl("replay", "--check")
