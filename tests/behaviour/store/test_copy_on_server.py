"""A copy of a queue on the same server: for this machine it is a queue of its own."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eventstore.location import create_on_server, open_store
from projections.registry import first_schema
from queuectl.worker.process_sweep import alive
from tests.ctl import Ctl, until
from tests.postgres import Server
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")


@pytest.fixture
def here(kind: str, url: str, server_of: Callable[[str], Server]) -> Server:
    """The server of the queue at `url`."""
    assert url
    return server_of(kind)


@pytest.fixture
def databases(here: Server) -> Iterator[Callable[..., str]]:
    """Return a function that creates a database with these options, and returns its name."""
    names = []
    with psycopg.connect(here.database("template1"), autocommit=True) as connection:

        def create(options: str = "") -> str:
            names.append(f"copy_{os.urandom(4).hex()}")
            connection.execute(f"CREATE DATABASE {names[-1]} {options}")
            return names[-1]

        yield create
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def key_of(url: str) -> str:
    with closing(open_store(url, readonly=True)) as store:
        return store.key


def test_key_of_a_copy_is_another_one(
    here: Server, url: str, databases: Callable[..., str]
) -> None:
    first = url.replace("/postgres?", f"/{databases()}?")
    create_on_server(first, first_schema)
    source = first.partition("?")[0].rpartition("/")[2]
    second = url.replace("/postgres?", f"/{databases(f'TEMPLATE {source}')}?")
    assert key_of(second) != key_of(first)
    assert key_of(first) == key_of(first)
    with psycopg.connect(here.database(source), autocommit=True) as connection:
        connection.execute(f'ALTER SCHEMA "{first.rpartition("=")[2]}" RENAME TO renamed')
    assert key_of(first.rpartition("=")[0] + "=renamed") != key_of(second)


def test_key_needs_no_right_to_read_the_identifier_of_the_server(
    here: Server, ctl: Ctl, url: str
) -> None:
    name = url.rpartition("=")[2]
    user = f"plain_{name.replace('-', '_')}"
    ctl("init", url, "--roles")
    plain = url.replace("postgres@", f"{user}@")
    with psycopg.connect(here.database("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE ROLE {user} LOGIN IN ROLE "{name}_worker"')
        assert key_of(plain) == key_of(url)
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        try:
            assert key_of(plain) == key_of(plain)
        finally:
            connection.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")


def copied(here: Server, url: str, database: str) -> str:
    """Copy the queue into another database with pg_dump; return the address of the copy."""
    if not (here.programs / "pg_dump").exists():
        pytest.skip("pg_dump is not installed")
    dump = [str(here.programs / "pg_dump"), f"--dbname={here.database('postgres')}"]
    name = url.rpartition("=")[2]
    sql = subprocess.run([*dump, "--inserts", f"--schema={name}"], capture_output=True, check=True)
    statements = [line for line in sql.stdout.splitlines() if not line.startswith(b"\\")]
    with psycopg.connect(here.database(database), autocommit=True) as connection:
        connection.execute(b"\n".join(statements))
    return url.replace("/postgres?", f"/{database}?")


def stop_is_requested(ctl: Ctl, url: str) -> bool | None:
    return "stop-requested" in ctl("--db", url, "events", "--json").out or None


@pytest.mark.proof  # it waits for a lease of ten seconds
def test_stop_on_a_copy_ends_no_worker_of_the_original(
    here: Server, ctl: Ctl, url: str, databases: Callable[..., str], tmp_path: Path
) -> None:
    ctl.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    ctl("init", url)
    ctl("--db", url, "config", "set", "lease", "10s")
    written = tmp_path / "pid"
    command = f"echo $$ > {written}.new; mv {written}.new {written}; sleep 1000"
    job = ctl("--db", url, "enqueue", "--", command).out.strip()
    with ctl.executed("--db", url, "worker", "start") as worker:
        until(lambda: written.exists() or None, "the job has started")
        pid = int(written.read_text())
        copy = copied(here, url, databases())
        with ctl.executed("--db", copy, "worker", "stop", "--now") as stop:
            until(lambda: stop_is_requested(ctl, copy), "the request is recorded")
            with ctl.executed("--db", copy, "worker", "start") as other:
                other.says("took over 1 job", deadline_s=30)
            assert stop.ends().code == 0
            assert alive(pid)
        assert ctl("--db", url, "list", "--state", "processing").jobs == [job]
        worker.kill()
