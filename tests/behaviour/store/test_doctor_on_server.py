"""`doctor` for a queue on a server, as typed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventstore.location import create_on_server, server_facts
from projections.registry import first_schema
from tests.ctl import Ctl
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

NOT_DURABLE = {"durability": "fsync off: a crash of the server may damage everything"}
"""The server of the tests syncs nothing to disk."""

Checked = Callable[..., dict[str, Any]]


@pytest.fixture
def owner(url: str) -> Any:
    from eventstore.postgres.address import address_from

    address = address_from(url)
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {address.quoted_schema}")
        yield connection


@pytest.fixture
def checked(ctl: Ctl) -> Checked:
    """Return a function that returns the result of each check that is not ok."""

    def findings_of(url: str, *words: str) -> dict[str, Any]:
        result = ctl("--db", url, "doctor", *words, "--json", code=None)
        findings = {
            check["check"]: check["found"] for check in result.json["checks"] if check["todo"]
        }
        assert result.code == 1  # see NOT_DURABLE
        return findings

    return findings_of


def test_doctor_examines_the_server_for_a_worker(
    ctl: Ctl, url: str, owner: Any, checked: Checked
) -> None:
    name = url.rpartition("=")[2]
    user = f"doctored_{name.replace('-', '_')}"
    ctl("init", url, "--roles")
    owner.execute(f'CREATE ROLE {user} LOGIN IN ROLE "{name}_worker"')
    worker = url.replace("postgres@", f"{user}@")
    assert checked(worker, "--deep") == NOT_DURABLE
    document = ctl("--db", worker, "doctor", "--json", code=1).json
    results = {check["check"]: check["found"] for check in document["checks"]}
    assert results["rights"] == f"{user} may read, enqueue and run jobs"
    assert results["notifications"] == "heard at once"
    assert {"postgresql", "psycopg", "libpq", "sqlite"} <= {*document["versions"]}
    assert "is a superuser and can change the log" in checked(url)["rights"]


def test_doctor_names_missing_guards(ctl: Ctl, url: str, owner: Any, checked: Checked) -> None:
    ctl("init", url)
    owner.execute("ALTER TABLE events DISABLE TRIGGER events_never_go")
    assert "events_never_go missing or changed" in checked(url)["guards"]


def test_facts_name_what_holds_back_vacuum(url: str, owner: Any) -> None:
    owner.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        facts = server_facts(url)
        assert facts.durability.idle_slots == ["forgotten"]
    finally:
        owner.execute("SELECT pg_drop_replication_slot('forgotten')")
    with owner.transaction():
        owner.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        owner.execute("SELECT 1")
        create_on_server(url, first_schema)
        upkeep = server_facts(url).upkeep
    assert upkeep.held_by.startswith(f"process {owner.info.backend_pid} (")
    assert upkeep.held_back >= 1
    assert upkeep.sessions >= 2
    assert upkeep.idle_in_transaction == 0  # not yet for a minute


def test_doctor_and_verify_name_who_may_change_the_log(
    ctl: Ctl, url: str, owner: Any, checked: Checked
) -> None:
    ctl("init", url)
    owner.execute("GRANT DELETE ON events TO PUBLIC")
    who = "everyone (PUBLIC) may DELETE the table events, without being its owner"
    assert checked(url)["guards"] == who
    assert ctl("--db", url, "verify", code=5).lines == [f"{who}; revoke that"]


def test_facts_do_not_depend_on_the_style_of_dates(url: str, owner: Any) -> None:
    owner.execute("ALTER ROLE postgres SET datestyle = 'German'")
    try:
        today = server_facts(url).today
    finally:
        owner.execute("ALTER ROLE postgres RESET datestyle")
    assert today == owner.execute("SELECT to_char(current_date, 'YYYY-MM-DD')").fetchone()[0]


def test_doctor_reports_a_table_without_autovacuum(
    ctl: Ctl, url: str, owner: Any, checked: Checked
) -> None:
    ctl("init", url)
    owner.execute("ALTER TABLE jobs SET (autovacuum_enabled = off)")
    assert "autovacuum is off for the table jobs" in checked(url)["vacuum"]


def test_doctor_tests_the_direct_address(ctl: Ctl, url: str, checked: Checked) -> None:
    ctl("init", url)
    ctl.env["QUEUECTL_DB_DIRECT"] = "postgresql://postgres:secret@/postgres?host=/nowhere"
    words = checked(url)["notifications"]
    assert "QUEUECTL_DB_DIRECT (postgresql://postgres@/postgres?host=/nowhere)" in words
    ctl.env["QUEUECTL_DB_DIRECT"] = url.replace("host=", "passwrd=secret&host=")
    words = checked(url)["notifications"]
    assert "passwrd=…" in words
    assert "secret" not in words


def test_backup_of_a_damaged_log_on_a_server_advises_a_new_queue(
    ctl: Ctl, url: str, owner: Any, tmp_path: Path
) -> None:
    ctl("init", url)
    ctl("--db", url, "enqueue", "--", "true")
    owner.execute("ALTER TABLE events DISABLE TRIGGER USER")
    owner.execute("UPDATE events SET actor = 'eve' WHERE position = 1")
    refused = ctl("--db", url, "backup", str(tmp_path / "copy.db"), code=5).err
    assert "damaged at position 1" in refused
    assert "into a new queue, with init and migrate" in refused


def test_doctor_examines_the_server_without_a_queue(url: str, checked: Checked) -> None:
    findings = checked(url)
    assert findings["server"] == f"{url} (named by --db): no queue"
    assert "rights" not in findings


def test_doctor_says_that_a_server_does_not_answer(url: str, checked: Checked) -> None:
    findings = checked(url.replace("host=", "host=/nowhere"))
    assert "no answer from the server (connection" in findings["server"]
