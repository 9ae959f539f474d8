"""A rebuild on a server leads to the same tables, and disturbs neither readers nor writers."""

import threading
from collections.abc import Callable

import pytest

from eventstore.errors import Busy
from eventstore.events.config import ConfigChanged
from eventstore.events.job import Claimed, Enqueued
from eventstore.store import Log
from eventstore.verify import verify
from projections import rebuild as rebuilding
from projections.errors import RebuildOvertaken
from projections.rebuild import compare, rebuild
from projections.registry import ADVANCE, Projector, checkpoint, first_schema
from tests.stores import EVERY_STORE, ON_A_SERVER

JOB = Enqueued(command="true", max_retries=3, backoff_base=2.0, tags={"a": "é\t\\n"})


HELD_BACK = """
    SELECT count(*) FROM pg_stat_activity
     WHERE backend_xmin IS NOT NULL AND application_name = 'queuectl' AND state <> 'active'
        OR pid = pg_backend_pid()"""


def append(log: Log, *streams: str) -> None:
    """Append a job per stream, claim it, and change a setting, as `Session` does it."""
    with log.write("anna@box") as tx:
        projector = Projector(tx)
        for stream in streams:
            events = [JOB, Claimed(attempt=1, worker="3f", slot=1)]
            projector.fold(tx.append(stream, 0, events))
        config = projector.state("$config")
        changed = ConfigChanged(key="jitter", value=0.5 if config is None else config.version)
        projector.fold(tx.append("$config", config.version if config else 0, [changed]))
        projector.flush()
        tx.execute(ADVANCE, {"position": tx.last[0]})


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for amount in ("SLICE", "SLICE_ALONE", "SLICE_DISTANT", "COPIED"):
        monkeypatch.setattr(rebuilding, amount, 3)


@pytest.fixture
def store(kind: str, opened: Callable[..., Log]) -> Log:
    """A new queue with empty tables."""
    if kind == "sqlite":
        return opened(create=True, schema=first_schema)
    return opened(create=True)


def leftovers(log: Log) -> set[str]:
    with log.read() as tx:
        return {name for name in tx.tables() if name.endswith(("_old", "_shadow"))}


@EVERY_STORE
def test_rebuilt_tables_equal_the_live_ones(store: Log) -> None:
    append(store, *map(str, range(1, 10)))
    assert compare(store) == []
    with store.write("") as tx:
        tx.execute("UPDATE jobs SET state = 'dead' WHERE id = '2'")
        tx.execute("DELETE FROM tags")
    assert {difference.table for difference in compare(store)} == {"jobs", "tags"}
    reported: list[tuple[int, int]] = []
    assert rebuild(store, on_progress=lambda *both: reported.append(both)) == 19
    assert reported[-1] == (19, 19)
    assert compare(store) == []
    assert leftovers(store) == set()
    rebuild(store)  # names of constraints and indexes are free again
    assert compare(store) == []


@EVERY_STORE
def test_events_that_are_appended_during_a_rebuild_are_not_missed(
    store: Log, opened: Callable[..., Log]
) -> None:
    append(store, *map(str, range(1, 10)))
    writer, numbers = opened(), iter(range(100, 120))

    def write(_: str) -> None:
        if (number := next(numbers, None)) is not None:
            append(writer, str(number))

    rebuild(store, pause=write)
    assert compare(store) == []


@EVERY_STORE
def test_comparison_is_exact_while_others_write(store: Log, opened: Callable[..., Log]) -> None:
    append(store, *map(str, range(1, 10)))
    writer, numbers = opened(), iter(range(100, 120))

    def write(*_: int) -> None:
        if (number := next(numbers, None)) is not None:
            append(writer, str(number))

    assert compare(store, write) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    from eventstore.postgres import transaction

    monkeypatch.setattr(transaction, "RENAME_PATIENCE_MS", 20)
    monkeypatch.setattr(rebuilding, "RENAMING_TRIES", 3)


@ON_A_SERVER
@pytest.mark.usefixtures("impatient")
def test_tables_are_not_exchanged_under_a_snapshot(store: Log, opened: Callable[..., Log]) -> None:
    """It would see a part of the new rows only."""
    append(store, "1", "2", "3", "4")
    reader = opened()
    with reader.read() as tx:
        assert checkpoint(tx).position == 9
        with pytest.raises(Busy, match="by readers"):
            rebuild(store)
        append(store, "5")
        assert tx.query("SELECT count(*) FROM jobs") == [(4,)]
    rebuild(store)
    assert compare(store) == []


@ON_A_SERVER
def test_snapshot_that_begins_during_the_renaming_sees_the_new_tables(
    store: Log, opened: Callable[..., Log]
) -> None:
    append(store, "1", "2")
    reader = opened()
    rows: list[object] = []

    def read() -> None:
        with reader.read() as tx:
            rows.extend(tx.query("SELECT count(*) FROM jobs"))

    waiting = threading.Thread(target=read)
    with store.write("") as tx:
        assert tx.rename({"jobs": "jobs_old"})
        tx.execute("CREATE TABLE jobs AS SELECT * FROM jobs_old")
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join()
    assert rows == [(2,)]


@ON_A_SERVER
@pytest.mark.usefixtures("impatient")
def test_verification_holds_up_neither_a_rebuild_nor_vacuum(
    store: Log, opened: Callable[..., Log]
) -> None:
    append(store, "1", "2")
    reader = opened()
    with reader.read_log() as tx:
        records = tx.records_until_damage()
        next(records)
        rebuild(store)
        append(store, "3")
        with store.read() as other:
            assert other.query(HELD_BACK) == [(1,)]  # its own
        assert len(list(records)) == 7
        assert verify(tx).sound


@EVERY_STORE
def test_rebuild_that_was_overtaken_by_another_changes_nothing(
    store: Log, opened: Callable[..., Log]
) -> None:
    append(store, *map(str, range(1, 10)))
    other = opened()
    begun: list[bool] = []

    def overtake(_: str) -> None:
        if not begun:
            begun.append(True)
            rebuild(other)

    with pytest.raises(RebuildOvertaken):
        rebuild(store, pause=overtake)
    assert compare(store) == []


@EVERY_STORE
def test_one_task_at_a_time(store: Log, opened: Callable[..., Log]) -> None:
    other = opened()
    with store.alone("replay") as first, other.alone("replay") as second:
        assert (first, second) == (True, False)
        with other.alone("another") as third:
            assert third
    with other.alone("replay") as again:
        assert again
