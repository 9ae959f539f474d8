"""Roles of a queue on a server: each may do what it is for, and nobody but the owner more."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eventstore.errors import InvalidAddress, NotAllowed, NotCreated
from eventstore.events.job import Enqueued
from eventstore.location import exists, locate
from eventstore.verify import verify
from projections.rebuild import rebuild
from projections.registry import first_schema
from queuectl.api import Queue
from queuectl.migrate import migrate
from tests.stores import ON_A_SERVER, open_on_server

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

from eventstore.postgres.address import address_from, quoted  # noqa: E402
from eventstore.postgres.creating import create, create_roles  # noqa: E402
from eventstore.postgres.roles import roles_of  # noqa: E402
from eventstore.postgres.scripts import creation_script, roles_script  # noqa: E402

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)

OWNERS = """
    SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
     WHERE relnamespace = CAST('{}' AS regnamespace)"""

Login = Callable[[str], str]
"""Creates a user in the role of this kind, and returns the address of the queue for it."""


@pytest.fixture
def owner(url: str) -> Iterator[Any]:
    """A connection of the owner of a queue with roles."""
    address = address_from(url)
    create(address, first_schema)
    create_roles(address)
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {address.quoted_schema}")
        yield connection


@pytest.fixture
def login(url: str, owner: Any) -> Iterator[Login]:
    schema = address_from(url).schema
    names = []

    def create_login(kind: str) -> str:
        name = f"login_{schema.replace('-', '_')}_{kind}"
        owner.execute(f"CREATE ROLE {name} LOGIN IN ROLE {quoted(f'{schema}_{kind}')}")
        names.append(name)
        return url.replace("postgres@", f"{name}@")

    yield create_login
    for name in names:
        owner.execute(f"DROP ROLE {name}")


def connected(url: str) -> Any:
    """Return a connection with the tables of the queue."""
    address = address_from(url)
    connection = psycopg.connect(address.url)
    connection.execute(f"SET search_path = {address.quoted_schema}")
    return connection


def answer(url: str, statement: str) -> str:
    """Return the class of the error of a statement, or `done`. Nothing is changed."""
    with connected(url) as connection:
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            connection.rollback()
            return type(error).__name__
        connection.rollback()
        return "done"


def test_workers_and_clients_append_and_change_read_models(url: str, login: Login) -> None:
    for number, kind in enumerate(("worker", "client"), 1):
        with open_on_server(login(kind)).write("anna@box") as tx:
            tx.append(str(number), 0, [JOB])
            tx.execute("UPDATE checkpoint SET position = :position", {"position": number})
            tx.execute("DELETE FROM tags")
            tx.execute("INSERT INTO follows VALUES ('anna', 'log', 1)")
            tx.execute("DELETE FROM follows")


def test_only_workers_store_outputs_and_hold_leases(url: str, login: Login) -> None:
    worker, client = login("worker"), login("client")
    for statement in (
        "INSERT INTO outputs VALUES ('1', 1, 1, NULL)",
        "INSERT INTO output_chunks VALUES ('1', 1, 0, '')",
        "INSERT INTO leases VALUES ('w', 1, 0)",
    ):
        assert answer(worker, statement) == "done"
        assert answer(client, statement) == "InsufficientPrivilege"


def test_readers_read_and_write_nothing(url: str, owner: Any, login: Login) -> None:
    reader = login("reader")
    tables = [
        row[0]
        for row in owner.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
    ]
    assert {"events", "jobs", "checkpoint", "outputs", "meta"} <= {*tables}
    for table in tables:
        assert answer(reader, f"SELECT * FROM {table}") == "done"
        assert answer(reader, f"INSERT INTO {table} DEFAULT VALUES") == "InsufficientPrivilege"
        assert answer(reader, f"DELETE FROM {table}") == "InsufficientPrivilege"


CHANGES_OF_THE_LOG = {
    "UPDATE events SET data = ''": "RaiseException",
    "DELETE FROM events": "RaiseException",
    "TRUNCATE events": "RaiseException",
    "DROP TABLE events": "done",
    "ALTER TABLE events DISABLE TRIGGER events_never_go": "done",
    "DROP TRIGGER events_never_go ON events": "done",
    "CREATE RULE nothing AS ON INSERT TO events DO INSTEAD NOTHING": "done",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NULL; END'": "done",
    "SET session_replication_role = replica": "done",
    "INSERT INTO events TABLE events ON CONFLICT (position) DO UPDATE SET data = ''": (
        "RaiseException"
    ),
    "SELECT * FROM events FOR UPDATE": "done",
    "SELECT * FROM events FOR KEY SHARE": "done",
    "LOCK TABLE events": "done",
    "UPDATE meta SET format = 9": "done",
    "CREATE TABLE events_shadow (n INTEGER)": "done",
}
"""What the owner, a superuser, gets for each: an error of a trigger, or nothing stops it."""


def test_no_role_may_change_the_log(url: str, login: Login) -> None:
    with open_on_server(url).write("anna@box") as tx:
        tx.append("1", 0, [JOB])
    members = [login(kind) for kind in ("worker", "client", "reader")]
    for statement, for_owner in CHANGES_OF_THE_LOG.items():
        assert answer(url, statement) == for_owner, statement  # the control
        for member in members:
            assert answer(member, statement) == "InsufficientPrivilege", statement


ALWAYS_EQUAL = """
    CREATE FUNCTION {schema}.never(a BIGINT, b BIGINT) RETURNS BOOLEAN
        LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR {schema}.<> (LEFTARG = BIGINT, RIGHTARG = BIGINT, PROCEDURE = {schema}.never)"""


def test_guards_do_not_use_operators_of_a_writer(url: str, owner: Any, login: Login) -> None:
    worker = login("worker")
    user, queue = worker.split("@")[0].rpartition("/")[2], address_from(url).quoted_schema
    owner.execute(f"CREATE SCHEMA {user} AUTHORIZATION {user}")
    with connected(worker) as connection:
        connection.execute(ALWAYS_EQUAL.format(schema=user))
        connection.execute(f"SET search_path = {user}, pg_catalog, {queue}")
        assert connection.execute("SELECT 1::BIGINT <> 2::BIGINT").fetchone() == (False,)
        with pytest.raises(psycopg.errors.RaiseException, match="only added at the end"):
            connection.execute(
                "INSERT INTO events VALUES (9, '9', 1, 't', 0, 'a', 9, NULL, '', '')"
            )
    owner.execute(f"DROP SCHEMA {user} CASCADE")


def test_tables_of_a_rebuild_have_the_same_rights(url: str, owner: Any, login: Login) -> None:
    owner.execute("CREATE TABLE jobs_shadow (n INTEGER)")
    worker, reader = login("worker"), login("reader")
    assert answer(worker, "INSERT INTO jobs_shadow VALUES (1)") == "done"
    assert answer(reader, "SELECT * FROM jobs_shadow") == "done"
    assert answer(reader, "DELETE FROM jobs_shadow") == "InsufficientPrivilege"


def test_only_who_may_act_as_the_owner_rebuilds(url: str) -> None:
    address = address_from(url)
    owned_by, member = f"{address.schema}_owner", f"member_of_{address.schema.replace('-', '_')}"
    create(address, first_schema, owner=owned_by)
    create_roles(address)
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {member} LOGIN IN ROLE {quoted(roles_of(address).worker)}")
        as_member = url.replace("postgres@", f"{member}@")
        with (
            closing(open_on_server(as_member)) as log,
            pytest.raises(NotAllowed, match=f"only {owned_by}, the owner of the tables, may"),
        ):
            rebuild(log)
        connection.execute(f"GRANT {quoted(owned_by)} TO {member}")
        with closing(open_on_server(as_member)) as log:
            assert rebuild(log) == 0
        owners = connection.execute(OWNERS.format(address.quoted_schema)).fetchall()
        connection.execute(f"DROP ROLE {member}")
    assert owners == [(owned_by,)]


def test_roles_are_created_once(url: str, owner: Any) -> None:
    roles, created = create_roles(address_from(url))
    assert (roles, created) == (roles_of(address_from(url)), [])
    assert create(address_from(url), first_schema) is False


def test_roles_need_a_queue_and_a_short_name(url: str) -> None:
    with pytest.raises(NotCreated):
        create_roles(address_from(url))
    with pytest.raises(InvalidAddress, match="more than 63 bytes"):
        create_roles(address_from(url + "x" * 50))


EXCESS = {
    "GRANT DELETE, UPDATE ON events TO eve": "eve may DELETE, UPDATE",
    "GRANT UPDATE (data) ON events TO eve": "eve may UPDATE",
    "GRANT TRUNCATE ON events TO PUBLIC": "everyone (PUBLIC) may TRUNCATE",
    "GRANT TRIGGER ON events TO eve": "eve may TRIGGER",
    "GRANT pg_write_all_data TO eve": "eve may write all tables",
    "ALTER SCHEMA {schema} OWNER TO eve": "eve may DROP (it owns the schema)",
    "GRANT {owner} TO {worker}": "{worker} may act as the owner",
}


@pytest.mark.parametrize("grant", EXCESS)
def test_verification_names_who_may_do_more_than_append(url: str, grant: str) -> None:
    address = address_from(url)
    worker, owned_by = roles_of(address).worker, f"{address.schema}_owner"
    create(address, first_schema, owner=owned_by)
    create_roles(address)
    log = open_on_server(url)
    with log.read() as tx:
        assert verify(tx).excess_rights == ()
    with psycopg.connect(address.url) as connection:
        connection.execute(f"SET search_path = {address.quoted_schema}")
        connection.execute("DROP ROLE IF EXISTS eve")
        connection.execute("CREATE ROLE eve")
        names = {"schema": address.quoted_schema, "owner": quoted(owned_by)}
        connection.execute(grant.format(worker=quoted(worker), **names))
        connection.commit()
        with log.read() as tx:
            verdict = verify(tx)
        connection.execute("REASSIGN OWNED BY eve TO postgres; DROP OWNED BY eve; DROP ROLE eve")
    assert verdict.excess_rights == (EXCESS[grant].format(worker=worker),)
    assert not verdict.sound
    log.close()


def test_everything_belongs_to_a_role_of_its_own(url: str) -> None:
    address = address_from(url)
    create(address, first_schema, owner="keeper of logs")
    create_roles(address)
    with psycopg.connect(address.url) as connection:
        owners = connection.execute(OWNERS.format(address.quoted_schema)).fetchall()
    assert owners == [("keeper of logs",)]


def test_administrator_without_superuser_creates_the_same(url: str) -> None:
    address = address_from(url)
    user = f"admin_{address.schema.replace('-', '_')}"
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN CREATEROLE")
        connection.execute(f"GRANT CREATE ON DATABASE postgres TO {user}")
        as_admin = address_from(url.replace("postgres@", f"{user}@"))
        create(as_admin, first_schema, owner=f"{address.schema}_owner")
        create_roles(as_admin)
        with closing(open_on_server(url.replace("postgres@", f"{user}@"))) as log:
            assert rebuild(log) == 0
            with log.read() as tx:
                assert verify(tx).sound
        owners = connection.execute(OWNERS.format(address.quoted_schema)).fetchall()
    assert owners == [(f"{address.schema}_owner",)]


def test_script_for_psql_creates_the_same(url: str, login: Login, owner: Any) -> None:
    address = address_from(url)
    owner.execute(f"DROP SCHEMA {address.quoted_schema} CASCADE")
    owner.execute(creation_script(address, first_schema, "keeper of logs"))
    owner.execute(roles_script(address, "keeper of logs"))
    assert answer(login("worker"), "INSERT INTO leases VALUES ('w', 1, 0)") == "done"
    log = open_on_server(url)
    with log.write("anna@box") as tx:
        tx.append("1", 0, [JOB])
    with log.read() as tx:
        assert verify(tx).sound
    log.close()


def test_only_the_owner_moves_a_queue_away(
    login: Login, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    target = locate(str(tmp_path / "moved.db"))
    with Queue(login("worker")) as queue, pytest.raises(NotAllowed, match="only postgres, the ow"):
        migrate(queue, target)
    assert not exists(target)
    with Queue(url) as queue:
        assert queue.store.head().position == 0
        assert migrate(queue, target).problems == []


def test_lack_of_the_schema_is_not_an_incomplete_queue(login: Login, url: str, owner: Any) -> None:
    schema = address_from(url).schema
    with closing(open_on_server(login("worker"))) as store:
        owner.execute(f"REVOKE USAGE ON SCHEMA {quoted(schema)} FROM {quoted(f'{schema}_worker')}")
        for begin in (store.read, lambda: store.write("anna@box")):
            with pytest.raises(NotAllowed, match="permission denied for schema"), begin():
                pass
        with pytest.raises(NotAllowed, match="permission denied for schema"):
            store.refuse_gone()


def test_setting_that_makes_transactions_read_only_is_named(login: Login, owner: Any) -> None:
    url = login("worker")
    user = url.partition("@")[0].rpartition("/")[2]
    owner.execute(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    with (
        closing(open_on_server(url)) as store,
        pytest.raises(NotAllowed, match="default_transaction_read_only is on"),
        store.write("anna@box") as tx,
    ):
        tx.append("1", 0, [JOB])
