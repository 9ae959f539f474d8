"""A queue on a server: how it is created, found, guarded, and lost."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from eventstore.errors import (
    Away,
    Busy,
    ForeignFile,
    Gone,
    InvalidAddress,
    LogWentBack,
    NotAllowed,
    NotCreated,
    StorageFailed,
    TransactionOpen,
)
from eventstore.events.job import Enqueued
from eventstore.store import Log, Reader, Writer
from eventstore.tables import Table
from eventstore.verify import verify
from tests.stores import ON_A_SERVER, open_on_server

pytestmark = ON_A_SERVER

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0)

GUARDS = (
    "events_never_change",
    "events_never_go",
    "events_never_vanish",
    "events_only_at_the_end",
)


TWO_WITH_A_GAP = """
    INSERT INTO events VALUES (3, '3', 1, 't', 0, 'a', 3, NULL, '', ''),
                              (5, '5', 1, 't', 0, 'a', 3, NULL, '', '')"""

WITHOUT_EFFECT = """
    CREATE OR REPLACE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN NULL; END'"""

SET_READY = """
    UPDATE pg_index SET indisready = {}
     WHERE indexrelid = CAST('events_stream_version_key' AS regclass)"""


def append(log: Log, stream: str = "1", times: int = 1) -> None:
    with log.write("anna@box") as tx:
        tx.append(stream, 0, [JOB] * times)


@pytest.fixture
def owner(url: str) -> Iterator[Any]:
    """A connection of the server's owner, to the tables of the queue."""
    from eventstore.postgres.address import address_from

    address = address_from(url)
    with psycopg.connect(address.url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {address.quoted_schema}")
        yield connection


def end_sessions(owner: Any) -> None:
    """End all other sessions, as a restart of the server does."""
    owner.execute(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
        " WHERE application_name = 'queuectl'"
    )


@pytest.mark.usefixtures("kind")
def test_address_is_shown_without_its_password() -> None:
    from eventstore.postgres.address import address_from

    address = address_from(
        "postgresql://anna:secret@host/jobs?password=secret&queue=a%20b&sslsni=1"
    )
    assert (address.schema, address.label) == (
        "a b",
        "postgresql://anna@host/jobs?queue=a%20b&sslsni=1",
    )
    assert address.url == "postgresql://anna:secret@host/jobs?password=secret&sslsni=1"


@pytest.mark.usefixtures("kind")
def test_address_may_leave_out_the_host() -> None:
    from eventstore.postgres.address import address_from

    address = address_from("postgresql:///?service=jobs&queue=encodes")
    assert (address.url, address.schema) == ("postgresql:///?service=jobs", "encodes")


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("password", ["sec/ret", "sec?ret", "sec#ret"])
def test_unquoted_password_is_refused_and_not_shown(password: str) -> None:
    from eventstore.postgres.address import address_from

    with pytest.raises(InvalidAddress, match="as %2F %3F %23 %40") as refused:
        address_from(f"postgresql://anna:{password}@host/jobs")
    assert "ret" not in str(refused.value)


def test_parameter_that_libpq_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(InvalidAddress, match="sslmod"):
        open_on_server(f"{url}&sslmod=require")


def test_name_that_the_server_would_cut_is_refused(url: str) -> None:
    with pytest.raises(InvalidAddress, match="1 to 63 bytes"):
        open_on_server(url + "x" * 63)


def test_missing_queue_is_not_created_by_opening_it(url: str) -> None:
    with pytest.raises(NotCreated, match="no queue at postgresql://postgres@/postgres"):
        open_on_server(url)


def test_server_that_does_not_run_is_reported(url: str) -> None:
    with pytest.raises(Away, match="nothing was written"):
        open_on_server(url.replace("host=", "host=/nowhere"))


def test_connection_that_the_server_refuses_is_reported(url: str) -> None:
    with pytest.raises(Away, match=r"refuses the connection .*role \"nobody\" does not exist"):
        open_on_server(url.replace("postgres@", "nobody@"))


def test_schema_of_another_program_is_refused(url: str, owner: Any) -> None:
    schema = owner.execute("SELECT current_setting('search_path')").fetchone()[0]
    owner.execute(f"CREATE SCHEMA {schema}")
    owner.execute("CREATE TABLE accounts (id INTEGER)")
    with pytest.raises(ForeignFile, match="contains accounts of another program"):
        open_on_server(url, create=True)


def test_queue_is_created_once_by_several_at_the_same_time(opened: Callable[..., Log]) -> None:
    keys = []
    threads = [
        threading.Thread(target=lambda: keys.append(opened(create=True).key)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_queue_is_created_completely_or_not_at_all(url: str) -> None:
    from eventstore.postgres.address import address_from
    from eventstore.postgres.creating import create

    with pytest.raises(StorageFailed, match="the server reports 42601: syntax error at or near"):
        create(address_from(url), lambda _: ["CREATE TABLE one (n INTEGER)", "CREATE NONSENSE"])
    with pytest.raises(NotCreated):
        open_on_server(url)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET data = ''",
        "DELETE FROM events",
        "TRUNCATE events",
        "INSERT INTO events VALUES (9, '9', 1, 't', 0, 'a', 9, NULL, '', '')",
        TWO_WITH_A_GAP,
        "INSERT INTO events VALUES (0, '9', 1, 't', 0, 'a', 9, NULL, '', '')",
    ],
)
def test_records_are_guarded_even_against_the_owner(store: Log, owner: Any, change: str) -> None:
    append(store, times=2)
    owner.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.errors.RaiseException, match="events are"):
        owner.execute(change)
    assert store.head().position == 2


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("DROP TRIGGER events_never_go ON events", "events_never_go"),
        ("ALTER TABLE events DISABLE TRIGGER events_never_change", "events_never_change"),
        (WITHOUT_EFFECT, "events_only_at_the_end"),
    ],
)
def test_verification_names_missing_guards(
    store: Log, owner: Any, change: str, missing: str
) -> None:
    with store.read() as tx:
        assert verify(tx).missing_guards == ()
    owner.execute(change)
    with store.read() as tx:
        assert verify(tx).missing_guards == (missing,)


def without_guards(owner: Any, *changes: str) -> None:
    owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
    for change in changes:
        owner.execute(change)
    owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")


def test_changed_record_breaks_the_chain(store: Log, owner: Any) -> None:
    append(store, times=3)
    without_guards(owner, "UPDATE events SET actor = 'eve' WHERE position = 2")
    with store.read() as tx:
        broken = verify(tx).broken
    assert broken is not None
    assert broken.position == 2


def test_record_that_is_not_in_the_index_is_detected(store: Log, owner: Any) -> None:
    append(store)
    owner.execute(SET_READY.format("false"))
    owner.execute("INSERT INTO events VALUES (2, '2', 1, 'fell-due', 0, 'a', 2, NULL, '{}', '')")
    owner.execute(SET_READY.format("true"))
    with store.read() as tx:
        broken = tx.unindexed()
    assert broken is not None
    assert broken.position == 2


def test_rows_are_fetched_in_portions_between_other_queries(store: Log) -> None:
    append(store, times=2_500)
    with store.read() as tx:
        rows = tx.records()
        assert next(rows)[0] == 1
        assert count(tx) == 2_500
        assert [row[0] for row in rows] == list(range(2, 2_501))
        assert tx.newest("1", 2, before=2_400)[0].position == 2_399


def count(tx: Reader) -> int:
    return int(tx.query("SELECT count(*) FROM events")[0][0])


def test_time_is_that_of_the_server(store: Log) -> None:
    before_us = time.time_ns() // 1000
    with store.write("anna@box") as tx:
        assert before_us - 1_000_000 < tx.now_us < time.time_ns() // 1000 + 1_000_000


def test_writer_does_not_wait_longer_than_its_patience(
    store: Log, opened: Callable[..., Log]
) -> None:
    other = opened()
    with (
        store.write("anna@box"),
        pytest.raises(Busy, match=r"locked for 0\.05 s"),
        other.write("bob@box", patience_s=0.05),
    ):
        pass
    append(other)


def test_paused_writer_loses_the_lock_and_cannot_commit(
    store: Log, opened: Callable[..., Log], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventstore.postgres import transaction

    monkeypatch.setattr(transaction, "BEGIN", transaction.BEGIN.replace("'5s'", "'100ms'"))
    other = opened()

    def pause(tx: Writer) -> None:
        tx.append("1", 0, [JOB])
        tx.query("SELECT 1")  # sends the record
        append(other)  # waits until the server has ended the paused transaction

    with pytest.raises(Away, match="idle"), store.write("paused@box") as tx:
        pause(tx)
    append(store, "2")
    with store.read() as reading:
        assert [record.actor for record in reading.raw()] == ["anna@box", "anna@box"]


def test_transactions_are_not_nested(store: Log) -> None:
    with store.write("anna@box"), pytest.raises(TransactionOpen), store.read():
        pass


def test_lost_connection_is_made_again(store: Log, owner: Any) -> None:
    append(store)
    end_sessions(owner)
    append(store, "2")
    end_sessions(owner)
    assert store.head().position == 2


def test_connection_that_is_lost_in_a_transaction_writes_nothing(store: Log, owner: Any) -> None:
    def lose(tx: Writer) -> None:
        tx.append("1", 0, [JOB])
        end_sessions(owner)

    with pytest.raises(Away), store.write("anna@box") as tx:
        lose(tx)
    assert store.head().position == 0


def test_error_that_the_block_catches_is_not_committed(store: Log) -> None:
    def fail(tx: Writer) -> None:
        tx.append("1", 0, [JOB])
        with pytest.raises(psycopg.errors.DivisionByZero):
            tx.query("SELECT 1 / 0")

    with (
        pytest.raises(StorageFailed, match="a statement had failed before"),
        store.write("anna@box") as tx,
    ):
        fail(tx)
    assert store.head().position == 0


def test_queue_that_was_created_again_is_another_one(
    store: Log, opened: Callable[..., Log], owner: Any
) -> None:
    schema = owner.execute("SELECT current_setting('search_path')").fetchone()[0]
    owner.execute(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(Gone):
        append(store)
    with pytest.raises(Gone), store.read() as tx:
        tx.head()
    opened(create=True)
    with pytest.raises(Gone):
        append(store)


def test_log_that_lost_records_is_recognized_after_a_reconnect(store: Log, owner: Any) -> None:
    append(store, times=2)
    without_guards(owner, "DELETE FROM events WHERE position = 2")
    end_sessions(owner)
    with pytest.raises(LogWentBack, match="no longer contains event 2"):
        append(store, "2")


def test_user_without_privileges_is_refused(url: str, store: Log, owner: Any) -> None:
    append(store)
    owner.execute("DROP ROLE IF EXISTS stranger")
    owner.execute("CREATE ROLE stranger LOGIN")
    with pytest.raises(NotAllowed, match="permission denied"):
        open_on_server(url.replace("//postgres@", "//stranger@"))
    owner.execute("DROP ROLE stranger")


HOSTILE = [
    "",
    "NULL",
    "null",
    "a b",
    "{}",
    "{a,b}",
    ",",
    '"',
    '\\"',
    "\\",
    "\\x41",
    "'",
    "é\n\t",
    "%s",
]
"""Texts that an array or a statement could be mistaken for."""


def test_texts_are_stored_as_they_are(store: Log) -> None:
    texts = Table("texts", {"n": "integer", "text": "text or null"}, key=("n",))
    rows = [(number, text) for number, text in enumerate([*HOSTILE, None])]
    with store.write("anna@box") as tx:
        tx.execute(tx.dialect.create(texts, "texts"))
        tx.write(texts.insert(), rows, "texts")
        assert tx.query("SELECT n, text FROM texts ORDER BY n") == rows


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_isolation_of_the_user_is_not_that_of_the_writers(
    store: Log, url: str, isolation: str
) -> None:
    option = quote(f"-c default_transaction_isolation={isolation.replace(' ', chr(92) + ' ')}")
    others = [open_on_server(f"{url}&options={option}") for _ in range(3)]

    def write(log: Log) -> None:
        for number in range(10):
            append(log, f"{id(log)}-{number}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, others))
    assert store.head().position == 30
    for log in others:
        log.close()
