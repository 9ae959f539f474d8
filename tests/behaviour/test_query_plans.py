"""Queries that must stay flat, however long the queue, say how SQLite will run them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from projections.read_models import counts, jobs, ready, runs, sequence, timers, workers
from projections.read_models.jobs import Filter
from projections.registry import LIVE
from queuectl.queue import Queue

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
    "earliest": (timers.EARLIEST, {}),
    "due": (timers.DUE, {"now": 1, "limit": 9}),
    "begun after": (timers.BEGUN_AFTER, {"now": 1, "limit": 9}),
    "counts": (counts.ALL, {}),
    "last number": (sequence.LAST, {}),
    "attempts": (runs.OF_JOB, {"born": 1}),
    "active workers": (workers.ACTIVE, {}),
    "claims of a worker": (jobs.OF_WORKER, {"worker": "3f"}),
    "last job": (jobs.LAST, {}),
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


# Each is walked from its start and left after a page; `counts` has a row a queue; the inner page of
# a range has at most a page.
SHORT = ("SCAN jobs", "SCAN counts", "SCAN (subquery-")


def flat(text: str) -> bool:
    """By index or key all the way, but for what is short by itself."""
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
    sql = jobs.page_sql(PAGES[name], bindings)
    text = plan(connection, sql, bindings)
    assert flat(text), text
    # The pages of ranges are merged by sorting them: at most a page each.
    if name == "all":
        assert "TEMP B-TREE" not in text, text
