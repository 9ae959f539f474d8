"""One row per job: finding jobs by id, and listing them by state, queue and tag in pages."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from eventstore import codec
from eventstore.events.job import Enqueued
from eventstore.events.recorded import Recorded
from eventstore.store import Reader, Row

from ..errors import DamagedRow
from ..folds.job import STATES, Job, State
from ..read_model import Change, ReadModel, Tables, Write

SCHEMA = (
    """
    CREATE TABLE {jobs} (
        born             INTEGER PRIMARY KEY,
        id               TEXT NOT NULL UNIQUE,
        spec             TEXT NOT NULL,
        state            TEXT NOT NULL,
        version          INTEGER NOT NULL,
        position         INTEGER NOT NULL,
        enqueued_at      INTEGER NOT NULL,
        changed_at       INTEGER NOT NULL,
        due_at           INTEGER,
        delay_us         INTEGER,
        attempt          INTEGER NOT NULL,
        skipped          INTEGER NOT NULL,
        worker           TEXT,
        round            INTEGER NOT NULL,
        retries_used     INTEGER NOT NULL,
        lost_in_row      INTEGER NOT NULL,
        cancel_requested INTEGER NOT NULL,
        succeeded_runs   INTEGER NOT NULL,
        failed_runs      INTEGER NOT NULL,
        failure          TEXT,
        exit_code        INTEGER,
        signal           INTEGER,
        queue            TEXT NOT NULL,
        priority         INTEGER NOT NULL,
        command          TEXT GENERATED ALWAYS AS (json_extract(spec, '$.command')) VIRTUAL
    ) STRICT""",
    "CREATE INDEX {jobs}_by_state_{generation} ON {jobs} (state, born)",
    "CREATE INDEX {jobs}_by_queue_{generation} ON {jobs} (queue, state, born)",
    "CREATE INDEX {jobs}_by_worker_{generation} ON {jobs} (worker) WHERE worker IS NOT NULL",
)

_COLUMNS = (
    "born, id, spec, state, version, position, enqueued_at, changed_at, due_at, delay_us, attempt,"
    " skipped, worker, round, retries_used, lost_in_row, cancel_requested, succeeded_runs,"
    " failed_runs, failure, exit_code, signal"
)

INSERT = (
    f"INSERT INTO {{jobs}} ({_COLUMNS}, queue, priority)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

UPDATE = """
    UPDATE {jobs}
       SET state = ?, version = ?, position = ?, changed_at = ?, due_at = ?, delay_us = ?,
           attempt = ?, skipped = ?, worker = ?, round = ?, retries_used = ?, lost_in_row = ?,
           cancel_requested = ?, succeeded_runs = ?, failed_runs = ?, failure = ?, exit_code = ?,
           signal = ?
     WHERE born = ?"""

# By the unique index on id.
LOAD = f"SELECT {_COLUMNS} FROM {{jobs}} WHERE id = ?"

LOAD_MANY = f"SELECT {_COLUMNS} FROM {{jobs}} WHERE id IN (SELECT value FROM json_each(?))"

# By the partial index: reads at most as many rows as the worker has slots.
OF_WORKER = f"SELECT {_COLUMNS} FROM jobs WHERE worker = :worker ORDER BY born"

# By the primary key, newest first: reads one page, unless conditions skip rows.
NEWEST = f"""
    SELECT {_COLUMNS} FROM jobs
     WHERE born < :before AND born > :after {{conditions}} ORDER BY born DESC LIMIT :limit"""

# By (state, born) or (queue, state, born): reads one page per state; then the pages are merged.
RANGE = f"""
    SELECT * FROM (
        SELECT {_COLUMNS} FROM jobs
         WHERE {{range}} AND born < :before AND born > :after {{conditions}}
         ORDER BY born DESC LIMIT :limit)"""

# By the key of `tags`, newest first.
TAGGED = f"""
    SELECT {_COLUMNS} FROM jobs
     WHERE born IN (
            SELECT born FROM tags
             WHERE key = :key AND value = :value AND born < :before AND born > :after)
       {{conditions}} ORDER BY born DESC LIMIT :limit"""

# By the primary key.
BY_BORN = f"SELECT {_COLUMNS} FROM jobs WHERE born = :born"

# The JSON text is searched first: that is cheap, and the values are extracted of few rows only.
SEARCH = r"""(id LIKE :search ESCAPE '\'
     OR (spec LIKE :quoted ESCAPE '\'
         AND (json_extract(spec, '$.command') LIKE :search ESCAPE '\'
              OR json_extract(spec, '$.name') LIKE :search ESCAPE '\'
              OR EXISTS (SELECT 1 FROM json_each(spec, '$.tags')
                          WHERE key || '=' || value LIKE :search ESCAPE '\'))))"""

# The rows of `dead` with this cause are read once.
OF_CAUSE = "born IN (SELECT born FROM dead WHERE cause = :cause)"

LAST = "SELECT id FROM jobs ORDER BY born DESC LIMIT 1"

_CANCEL_REQUESTED = Job.__struct_fields__.index("cancel_requested") - 3

_NEWEST_POSSIBLE = 2**63 - 1


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that jobs must meet; missing ones do not restrict. Times: UTC, microseconds."""

    states: tuple[State, ...] = ()
    queue: str | None = None
    tag: tuple[str, str] | None = None
    search: str | None = None
    """Text in the command, the name, a tag or the id; the case of ASCII letters is ignored."""
    cause: str | None = None
    """The job is dead, and this is the cause of `read_models.dead`."""
    since_us: int | None = None
    """Enqueued at or after."""
    until_us: int | None = None
    """Enqueued before."""
    born_after: int = 0
    """Only jobs born after this position are read: it bounds a search with few matches."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Add one row per new job; update the changing columns of other jobs."""
    yield Write(INSERT, [_row(job, events[0]) for before, job, events in changes if before is None])
    yield Write(
        UPDATE, [(*_moving(job), job.born) for before, job, _ in changes if before is not None]
    )


JOBS = ReadModel(
    name="jobs", version=3, kind="job", schema=SCHEMA, derive=derive, table="jobs", key="born"
)


def load(tx: Reader, job_id: str, tables: Tables) -> Job | None:
    """Return the job with this id; None if there is none. tables: the names to read from."""
    rows = tx.query(LOAD.format_map(tables), (job_id,))
    return _job(rows[0]) if rows else None


def load_many(tx: Reader, job_ids: list[str], tables: Tables) -> dict[str, Job]:
    """Return the jobs with these ids that exist, by id."""
    rows = tx.query(LOAD_MANY.format_map(tables), (msgspec.json.encode(job_ids).decode(),))
    return {row[1]: _job(row) for row in rows}


_LIVE = {"jobs": "jobs"}


def get(tx: Reader, job_id: str) -> Job | None:
    """Return the job with this id; None if there is none."""
    return load(tx, job_id, _LIVE)


def last_id(tx: Reader) -> str | None:
    """Return the id of the job that was enqueued last; None if there is no job."""
    rows = tx.query(LAST)
    return str(rows[0][0]) if rows else None


def of_worker(tx: Reader, worker_id: str) -> list[Job]:
    """Return the jobs that this worker has claimed, oldest first."""
    return [_job(row) for row in tx.query(OF_WORKER, {"worker": worker_id})]


def page(tx: Reader, which: Filter, before_born: int | None = None, limit: int = 50) -> list[Job]:
    """Return at most `limit` matching jobs, newest first, with `born` < `before_born`."""
    before = before_born or _NEWEST_POSSIBLE
    bindings: dict[str, Any] = {"before": before, "after": which.born_after, "limit": limit}
    return [_job(row) for row in tx.query(page_sql(which, bindings), bindings)]


def oldest(tx: Reader, which: Filter, after_born: int = 0, limit: int = 50) -> list[Job]:
    """Return at most `limit` matching jobs, oldest first, with `born` > `after_born`."""
    after = max(which.born_after, after_born)
    bindings: dict[str, Any] = {"before": _NEWEST_POSSIBLE, "after": after, "limit": limit}
    return [_job(row) for row in tx.query(oldest_sql(which, bindings), bindings)]


def oldest_sql(which: Filter, bindings: dict[str, Any]) -> str:
    """Return the statement for a page in the opposite order; it uses the same indexes."""
    return page_sql(which, bindings).replace("born DESC", "born")


def many(tx: Reader, born: Iterable[int]) -> list[Job]:
    """Return the jobs born at these positions, in this order."""
    rows = (tx.query(BY_BORN, {"born": position}) for position in born)
    return [_job(row[0]) for row in rows if row]


def page_sql(which: Filter, bindings: dict[str, Any]) -> str:
    """Return the statement for a page of matching jobs, and add its values to `bindings`.

    The caller binds `before`, `after` and `limit`.
    """
    conditions = "".join(f" AND {text}" for text in _conditions(which, bindings))
    return _template(which, bindings).replace("{conditions}", conditions)


def _template(which: Filter, bindings: dict[str, Any]) -> str:
    if which.tag:
        bindings["key"], bindings["value"] = which.tag
        return TAGGED
    if not which.states and which.queue is None:
        return NEWEST
    of_queue = "" if which.queue is None else "queue = :queue AND "
    ranges = [
        RANGE.replace("{range}", f"{of_queue}state = :s{n}")
        for n, _ in enumerate(which.states or STATES)
    ]
    return " UNION ALL ".join(ranges) + " ORDER BY born DESC LIMIT :limit"


def _conditions(which: Filter, bindings: dict[str, Any]) -> Iterator[str]:
    for n, state in enumerate(which.states or STATES):
        bindings[f"s{n}"] = state
    if which.states:
        yield f"state IN ({', '.join(f':s{n}' for n, _ in enumerate(which.states))})"
    if which.queue is not None:
        bindings["queue"] = which.queue
        yield "queue = :queue"
    if which.search:
        bindings["search"] = _pattern(which.search)
        bindings["quoted"] = _pattern(_in_json(which.search))
        yield SEARCH
    if which.cause is not None:
        bindings["cause"] = which.cause
        yield OF_CAUSE
    if which.since_us is not None:
        bindings["since"] = which.since_us
        yield "enqueued_at >= :since"
    if which.until_us is not None:
        bindings["until"] = which.until_us
        yield "enqueued_at < :until"


def _in_json(text: str) -> str:
    """Return a text that the JSON of every job contains of which a value or tag contains `text`.

    A tag is written KEY=VALUE, which the JSON does not contain: so the longest part is searched.
    """
    longest = max(text.split("="), key=len)
    return msgspec.json.encode(longest).decode()[1:-1]


def _pattern(text: str) -> str:
    """Return a LIKE pattern that matches texts which contain `text`."""
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def _moving(job: Job) -> tuple[Any, ...]:
    return (
        job.state,
        job.version,
        job.position,
        job.changed_at_us,
        job.due_at_us,
        job.delay_us,
        job.attempt,
        job.skipped,
        job.worker,
        job.round,
        job.retries_used,
        job.lost_in_row,
        job.cancel_requested,
        job.succeeded_runs,
        job.failed_runs,
        job.failure,
        job.exit_code,
        job.signal,
    )


def _row(job: Job, enqueued: Recorded) -> tuple[Any, ...]:
    spec = job.spec
    state, version, position, changed_at, *rest = _moving(job)
    return (
        job.born,
        job.id,
        codec.data_of(enqueued),
        state,
        version,
        position,
        job.enqueued_at_us,
        changed_at,
        *rest,
        spec.queue,
        spec.priority,
    )


@cache
def _spec() -> msgspec.json.Decoder[Enqueued]:
    """Return the decoder; it is created when the first row is read, as enqueueing reads none."""
    return msgspec.json.Decoder(Enqueued)


def _job(row: Row) -> Job:
    born, job_id, spec, *moving = row
    moving[_CANCEL_REQUESTED] = bool(moving[_CANCEL_REQUESTED])  # SQLite has no booleans
    try:
        return Job(born, job_id, _spec().decode(spec), *moving)
    except msgspec.MsgspecError:
        raise DamagedRow("jobs", f"job {job_id}") from None
