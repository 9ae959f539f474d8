"""`init` as typed: it creates a queue on a server, its roles, or prints the SQL of both."""

from typing import Any

import pytest

from tests.ctl import Ctl
from tests.stores import ON_A_SERVER

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

KINDS = ("reader", "client", "worker")


def connected(url: str) -> Any:
    from eventstore.postgres.address import address_from

    return psycopg.connect(address_from(url).url, autocommit=True)


def test_init_creates_a_queue_and_later_its_roles(ctl: Ctl, url: str) -> None:
    name = url.rpartition("=")[2]
    first = ctl("init", url, "--json").json
    assert (first["created"], first["roles"], first["position"]) == (True, [], 0)
    assert "exists already" in ctl("init", url).err
    added = ctl("init", url, "--roles")
    assert f"created roles {name}_reader, {name}_client, {name}_worker" in added.err
    assert f'IN ROLE "{name}_worker"' in added.err
    again = ctl("init", url, "--roles", "--json").json
    assert (again["created"], again["roles"]) == (False, [f"{name}_{kind}" for kind in KINDS])


def test_a_client_enqueues_and_a_worker_runs_with_their_roles(ctl: Ctl, url: str) -> None:
    name = url.rpartition("=")[2]
    ctl("init", url, "--roles", "--owner", f"{name}_owner")
    user = name.replace("-", "_")
    with connected(url) as server:
        for kind in KINDS:
            server.execute(f'CREATE ROLE {user}_{kind} LOGIN IN ROLE "{name}_{kind}"')
    reader, client, worker = (url.replace("postgres@", f"{user}_{kind}@") for kind in KINDS)
    job = ctl("--db", client, "enqueue", "--", "echo hello").out.strip()
    ctl("--db", worker, "worker", "start", "--until-empty")
    assert ctl("--db", reader, "status", "--json").json["counts"]["completed"] == 1
    assert ctl("--db", reader, "logs", job).out == "hello\n"
    ctl("--db", reader, "verify")
    refused = ctl("--db", reader, "enqueue", "--", "true", code=6).err
    assert f"this needs the role {name}_client" in refused
    refused = ctl("--db", worker, "replay", code=6).err
    assert f"only {name}_owner, the owner of the tables, may rebuild the views" in refused


def test_init_without_the_rights_says_what_to_do(ctl: Ctl, url: str) -> None:
    user = url.rpartition("=")[2].replace("-", "_")
    with connected(url) as server:
        server.execute(f"CREATE ROLE {user} LOGIN")
    refused = ctl("init", url.replace("postgres@", f"{user}@"), "--roles", code=6).err
    assert "permission denied for database postgres; the administrator can run what" in refused


def test_init_prints_the_sql_that_creates_the_same(ctl: Ctl, url: str) -> None:
    sql = ctl("init", url, "--roles", "--owner", "keeper of logs", "--print").out
    with connected(url) as server:
        server.execute(sql)
    assert "exists already" in ctl("init", url).err
    ctl("--db", url, "enqueue", "--", "true")
    ctl("--db", url, "verify")


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("words", [("--roles",), ("--owner", "anna"), ("--print",)], ids=" ".join)
def test_a_file_has_no_roles(ctl: Ctl, words: tuple[str, ...]) -> None:
    assert "need a queue on a server" in ctl("init", "x.db", *words, code=2).err
    assert not (ctl.folder / "x.db").exists()


def test_names_that_postgresql_reserves_are_refused(ctl: Ctl, url: str) -> None:
    refused = ctl("init", f"{url.rpartition('=')[0]}=pg_jobs", code=6).err
    assert "PostgreSQL reserves names that begin with pg_" in refused


def test_roles_with_too_long_names_are_refused_before_anything_is_created(
    ctl: Ctl, url: str
) -> None:
    place = url + "x" * (60 - len(url.rpartition("=")[2]))
    assert "of more than 63 bytes" in ctl("init", place, "--roles", code=6).err
    assert "no queue at" in ctl("--db", place, "status", code=6).err


def test_hint_quotes_the_name_of_the_role(ctl: Ctl, url: str) -> None:
    added = ctl("init", f"{url}%22x", "--roles").err
    assert f'IN ROLE "{url.rpartition("=")[2]}""x_worker"' in added


def test_unknown_error_of_the_server_is_a_line(ctl: Ctl, url: str) -> None:
    refused = ctl("init", url, "--owner", "pg_owner", code=6).err
    assert "the server reports 42939: role name" in refused
