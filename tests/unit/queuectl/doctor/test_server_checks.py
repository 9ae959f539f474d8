"""Each fact about a server that a person should know is reported, with what to do."""

from typing import Any

import pytest

from eventstore.server_facts import Durability, Link, Rights, Upkeep
from queuectl.doctor import server_checks
from queuectl.doctor.checks import Finding

LINK = Link(
    host="db.example",
    is_remote=True,
    is_encrypted=True,
    sslmode="verify-full",
    used_password=True,
    is_direct=True,
    hears=True,
    round_trip_ms=0.4,
    clock_ahead_s=0.01,
)
DURABILITY = Durability(
    fsync=True,
    full_page_writes=True,
    is_standby=False,
    standby_names="*",
    standbys=1,
    waited_for=1,
    idle_slots=[],
)
UPKEEP = Upkeep(
    held_back=10,
    held_by="process 7 (psql, anna)",
    dead_rows=5,
    live_rows=10,
    transaction_age=1_000,
    idle_in_transaction=0,
    sessions=4,
    sessions_limit=100,
    waiting_to_notify=0,
    notifications_full=0.0,
    autovacuum=True,
    track_counts=True,
    sees_all=True,
    jobs_vacuumed=True,
)
WORKER = Rights(user="w", is_superuser=False, is_owner=False, appends=True, stores_outputs=True)


def of_server(
    link: Link = LINK, durability: Durability = DURABILITY, upkeep: Upkeep = UPKEEP
) -> list[Finding]:
    return [
        server_checks.durability(durability),
        server_checks.replication(durability),
        server_checks.slots(durability.idle_slots),
        server_checks.encryption(link),
        server_checks.round_trip(link),
        server_checks.clock(link),
        server_checks.pooler(link),
        server_checks.notifications(link, upkeep),
        server_checks.vacuum(upkeep),
        server_checks.transaction_ids(upkeep),
        server_checks.sessions(upkeep),
    ]


def test_a_sound_server_has_no_finding() -> None:
    assert [finding for finding in of_server() if finding.level != "ok"] == []


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"fsync": False}, "problem", "fsync off"),
        ({"full_page_writes": False}, "problem", "full_page_writes off"),
        ({"is_standby": True}, "problem", "this server is a standby"),
        ({"standby_names": ""}, "note", "asynchronous, 1 standby: a failover may lose"),
        ({"standbys": 0, "waited_for": 0}, "problem", "commits wait for a standby"),
        ({"idle_slots": ["old"]}, "note", "keeps all WAL for them: old"),
    ],
)
def test_what_a_crash_or_a_failover_may_lose(
    change: dict[str, Any], level: str, words: str
) -> None:
    assert_found(of_server(durability=DURABILITY._replace(**change)), level, words)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"is_encrypted": False}, "problem", "plain text, after a password"),
        ({"sslmode": "require"}, "note", "sslmode=require does not check who the server is"),
        ({"round_trip_ms": 35.2}, "note", "35.2 ms"),
        ({"clock_ahead_s": -90.2}, "note", "the server's clock is 90 s behind"),
        ({"hears": False, "is_direct": False}, "note", "hears none (a pooler is in between)"),
        ({"hears": False, "has_direct": True}, "note", "QUEUECTL_DB_DIRECT hears none (another"),
        ({"hears": False, "direct_error": "no answer"}, "note", "no answer: workers look every"),
    ],
)
def test_what_is_wrong_with_the_connection(change: dict[str, Any], level: str, words: str) -> None:
    assert_found(of_server(link=LINK._replace(**change)), level, words)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"held_back": 200_000}, "problem", "process 7 (psql, anna) holds it back by 200,000"),
        ({"dead_rows": 90_000}, "note", "90,000 old versions of 10 jobs"),
        ({"autovacuum": False}, "problem", "autovacuum is off on the server"),
        ({"track_counts": False}, "problem", "track_counts is off on the server"),
        ({"jobs_vacuumed": False}, "problem", "autovacuum is off for the table jobs"),
        ({"sees_all": False, "sessions": 95}, "note", "only seen with pg_monitor"),
        ({"transaction_age": 1_500_000_000}, "problem", "1,500,000,000 transactions old"),
        ({"idle_in_transaction": 2}, "note", "4 of 100; 2 idle in a transaction"),
        ({"sessions": 95}, "note", "95 of 100 in use"),
        ({"waiting_to_notify": 3}, "note", "3 sessions wait to send theirs"),
        ({"notifications_full": 0.5}, "note", "50% full"),
    ],
)
def test_what_slows_down_the_server(change: dict[str, Any], level: str, words: str) -> None:
    assert_found(of_server(upkeep=UPKEEP._replace(**change)), level, words)


def assert_found(findings: list[Finding], level: str, words: str) -> None:
    (finding,) = [finding for finding in findings if finding.level != "ok"]
    assert (finding.level, words in finding.result) == (level, True), finding
    assert finding.todo


def test_a_socket_needs_no_encryption() -> None:
    plain = LINK._replace(host="", is_remote=False, is_encrypted=False, sslmode="prefer")
    assert server_checks.encryption(plain).level == "ok"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, "ok", "w may read, enqueue and run jobs"),
        ({"stores_outputs": False}, "ok", "w may read and enqueue, but not run jobs"),
        ({"appends": False}, "ok", "w may read"),
        ({"is_owner": True}, "note", "w is the owner and can change the log"),
        ({"is_superuser": True}, "note", "w is a superuser and can change the log"),
    ],
)
def test_the_rights_of_the_user_are_named(change: dict[str, Any], level: str, words: str) -> None:
    finding = server_checks.rights(WORKER._replace(**change))
    assert (finding.level, finding.result) == (level, words)


def test_missing_guards_and_excess_rights_are_problems() -> None:
    assert server_checks.guards((), ()).level == "ok"
    assert server_checks.guards(("events_never_go",), ()).level == "problem"
    assert server_checks.guards((), ("eve may UPDATE",)).result.startswith("eve may UPDATE the")


def test_a_version_without_fixes_is_noted() -> None:
    assert server_checks.version(14, "PostgreSQL 14.1", "2026-11-12").level == "ok"
    assert server_checks.version(14, "PostgreSQL 14.1", "2026-11-13").level == "note"
    assert server_checks.version(99, "PostgreSQL 99.1", "2099-01-01").level == "ok"
