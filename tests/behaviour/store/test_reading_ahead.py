"""Queries that are read ahead: `query` returns the same, whether or not a store runs them early."""

from eventstore.store import PATIENCE_S, Query, Store
from tests.stores import EVERY_STORE

pytestmark = EVERY_STORE

MISSING, OUTPUTS = Query("SELECT 1 FROM missing"), Query("SELECT total_bytes FROM outputs")


def test_rows_that_were_read_ahead_are_those_before_the_next_write(store: Store) -> None:
    with store.prepare("anna@box", PATIENCE_S, lambda: (OUTPUTS,)) as tx:
        assert tx.query(OUTPUTS.sql) == []
        tx.keep_output("1", 1, 7, None)
        assert tx.query(OUTPUTS.sql) == [(7,)]
    tx.commit()


def test_a_query_that_fails_ahead_changes_nothing(store: Store) -> None:
    with store.write("anna@box") as tx:
        tx.keep_output("1", 1, 7, None)
    with store.prepare("anna@box", PATIENCE_S, lambda: (OUTPUTS, MISSING)) as tx:
        assert tx.query(OUTPUTS.sql) == [(7,)]
        tx.keep_output("2", 1, 8, None)
    tx.commit()
    with store.read(lambda: (MISSING,)) as reader:
        assert reader.query(OUTPUTS.sql) == [(7,), (8,)]


def test_the_same_query_with_other_values_is_another_query(store: Store) -> None:
    with store.read(lambda: (Query("SELECT CAST(:n AS BIGINT)", {"n": 1}),)) as reader:
        assert reader.query("SELECT CAST(:n AS BIGINT)", {"n": 2}) == [(2,)]
        assert reader.query("SELECT CAST(:n AS BIGINT)", {"n": 1}) == [(1,)]
