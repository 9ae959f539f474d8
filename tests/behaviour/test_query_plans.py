"""The query plans of queries whose cost must not grow with the queue."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from eventstore.dialect import SQLITE
from eventstore.sqlite import reader
from projections.read_models import (
    counts,
    dead,
    jobs,
    ready,
    runs,
    sequence,
    settings,
    throughput,
    timers,
    workers,
)
from projections.read_models.jobs import Filter
from projections.registry import LIVE
from queuectl.api import Queue

# A page by newest, by range, and by tag, as `page` builds them.
PAGES = {
    "all": Filter(),
    "state": Filter(states=("dead",)),
    "queue": Filter(queue="encodes"),
    "queue and states": Filter(queue="encodes", states=("dead", "failed")),
    "tag": Filter(tag=("a", "b")),
}

QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "next ready": (ready.NEXT_READY, {"queue": "default", "limit": 9}),
    "oldest": (ready.OLDEST, {}),
    "oldest of a queue": (ready.OLDEST_OF, {"queue": "default"}),
    "earliest": (timers.EARLIEST.sql, {}),
    "upcoming": (timers.UPCOMING, {"due": 1, "born": 1, "limit": 9}),
    "due": (timers.DUE, {"now": 1, "limit": 9}),
    "begun after": (timers.BEGUN_AFTER, {"now": 1, "limit": 9}),
    "counts": (counts.ALL, {}),
    "last number": (sequence.LAST.sql, {}),
    "attempts": (runs.OF_JOB, {"born": 1}),
    "active workers": (workers.ACTIVE.sql, {}),
    "claims of a worker": (jobs.OF_WORKER, {"worker": "3f"}),
    "last job": (jobs.LAST, {}),
    "job by position": (jobs.BY_BORN, {"born": 1}),
    "one attempt": (runs.ONE, {"born": 1, "attempt": 1}),
    "latest attempts": (runs.LATEST, {"born": 1, "limit": 9}),
    "next group of dead jobs": (dead.NEXT_GROUP, {"cause": "", "queue": ""}),
    "newest of a group": (
        dead.NEWEST,
        {"cause": "exit 1", "queue": "default", "before": 9, "limit": 1},
    ),
    "changes of settings": (settings.CHANGES, {}),
    "newest events of a stream": (
        reader.NEWEST_OF_STREAM,
        {"stream": "$config", "before": 9, "limit": 9},
    ),
    "version at a position": (reader.VERSION_AT, {"stream": "$config", "position": 9}),
    "version below a position": (reader.VERSION_BELOW, {"stream": "$config", "position": 9}),
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    path = str(tmp_path / "queue.db")
    Queue(path).close()
    opened = apsw.Connection(path, apsw.SQLITE_OPEN_READONLY)
    yield opened
    opened.close()


def plan(connection: apsw.Connection, sql: str, bindings: Any) -> str:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)
    return "\n".join(str(row[3]) for row in rows)


# `jobs` is walked from its start and left after a page; `counts` has a row per queue, `settings`
# one per key; the inner page of a range has at most a page.
SHORT = ("SCAN jobs", "SCAN counts", "SCAN settings", "SCAN page")


def flat(text: str) -> bool:
    """Check that the plan uses indexes or keys, except for tables that are always short."""
    lines = [line for line in text.splitlines() if line.startswith("SCAN")]
    keyed = [line for line in lines if "USING" in line or line.startswith(SHORT)]
    return lines == keyed


@pytest.mark.parametrize("name", QUERIES)
def test_query_uses_an_index_and_sorts_nothing(name: str, connection: apsw.Connection) -> None:
    sql, bindings = QUERIES[name]
    text = plan(connection, sql.format_map(LIVE), bindings)
    assert flat(text), text
    assert "TEMP B-TREE" not in text, text


@pytest.mark.parametrize("name", PAGES)
def test_page_of_jobs_uses_an_index(name: str, connection: apsw.Connection) -> None:
    bindings: dict[str, Any] = {"before": 1, "after": 0, "limit": 9}
    sql = jobs.page_sql(SQLITE, PAGES[name], bindings)
    text = plan(connection, sql, bindings)
    assert flat(text), text
    # The pages of ranges are merged by sorting them: at most a page each.
    if name == "all":
        assert "TEMP B-TREE" not in text, text


@pytest.mark.parametrize("name", [name for name in PAGES if name != "tag"])
def test_page_of_the_oldest_uses_the_same_index(name: str, connection: apsw.Connection) -> None:
    bindings: dict[str, Any] = {"before": 9, "after": 0, "limit": 9}
    text = plan(connection, jobs.oldest_sql(SQLITE, PAGES[name], bindings), bindings)
    assert flat(text), text


@pytest.mark.parametrize("sql", [throughput.STEPS, throughput.QUEUES])
def test_sums_of_a_span_read_only_the_span(sql: str, connection: apsw.Connection) -> None:
    bindings = {"minute": 1, "step": 60, "queue": None}
    text = plan(connection, sql, {key: bindings[key] for key in bindings if f":{key}" in sql})
    assert text.startswith("SEARCH throughput USING PRIMARY KEY (minute>?)"), text


def test_count_of_a_group_reads_only_the_group(connection: apsw.Connection) -> None:
    bindings = {"cause": "exit 1", "queue": "default", "limit": 9}
    text = plan(connection, dead.COUNT, bindings)
    assert "SEARCH dead USING PRIMARY KEY (cause=? AND queue=?)" in text, text
