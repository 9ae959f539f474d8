"""One row per job: finding jobs by id, and listing them by state, queue and tag in pages."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from eventstore import codec
from eventstore.dialect import Dialect
from eventstore.events.recorded import Recorded
from eventstore.store import Reader
from eventstore.tables import Write

from ..folds.job import STATES, Job, State
from ..job_rows import COLUMNS, STATE, TABLE, job_from
from ..read_model import Change, ReadModel, Tables

INDEXES = (
    "CREATE INDEX {jobs}_by_state_{generation} ON {jobs} (state, born)",
    "CREATE INDEX {jobs}_by_queue_{generation} ON {jobs} (queue, state, born)",
    "CREATE INDEX {jobs}_by_worker_{generation} ON {jobs} (worker) WHERE worker IS NOT NULL",
)

INSERT = TABLE.insert()

_FIRST_CHANGING = STATE.index("state")

UPDATE = TABLE.update(*STATE[_FIRST_CHANGING:], "born")

# By the unique index on id.
LOAD = f"SELECT {COLUMNS} FROM {{jobs}} WHERE id = :id"

LOAD_MANY = f"SELECT {COLUMNS} FROM {{jobs}} WHERE id IN ({{among}})"

# By the partial index: reads at most as many rows as the worker has slots.
OF_WORKER = f"SELECT {COLUMNS} FROM jobs WHERE worker = :worker ORDER BY born"

# By the primary key, newest first: reads one page, unless conditions skip rows.
NEWEST = f"""
    SELECT {COLUMNS} FROM jobs
     WHERE born < :before AND born > :after {{conditions}} ORDER BY born DESC LIMIT :limit"""

# By (state, born) or (queue, state, born): reads one page per state; then the pages are merged.
RANGE = f"""
    SELECT * FROM (
        SELECT {COLUMNS} FROM jobs
         WHERE {{range}} AND born < :before AND born > :after {{conditions}}
         ORDER BY born DESC LIMIT :limit) AS page{{number}}"""

# By the key of `tags`, newest first.
TAGGED = f"""
    SELECT {COLUMNS} FROM jobs
     WHERE born IN (
            SELECT born FROM tags
             WHERE key = :key AND value = :value AND born < :before AND born > :after)
       {{conditions}} ORDER BY born DESC LIMIT :limit"""

# By the primary key.
BY_BORN = f"SELECT {COLUMNS} FROM jobs WHERE born = :born"

# Searches the JSON text first, which is cheap, and extracts the values of matching rows only.
SEARCH = r"""(id {like} :search ESCAPE '\'
     OR (spec {like} :quoted ESCAPE '\'
         AND (command {like} :search ESCAPE '\'
              OR {name} {like} :search ESCAPE '\'
              OR EXISTS (SELECT 1 FROM {tags} AS tag
                          WHERE tag.key || '=' || tag.value {like} :search ESCAPE '\'))))"""

# Reads the rows of `dead` with this cause once.
OF_CAUSE = "born IN (SELECT born FROM dead WHERE cause = :cause)"

LAST = "SELECT id FROM jobs ORDER BY born DESC LIMIT 1"


_NEWEST_POSSIBLE = 2**63 - 1


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that jobs must meet. Empty ones match all jobs. Times are UTC, microseconds."""

    states: tuple[State, ...] = ()
    queue: str | None = None
    tag: tuple[str, str] | None = None
    search: str | None = None
    """Text in the command, the name, a tag or the id; the case of ASCII letters is ignored."""
    cause: str | None = None
    """The job is dead, and this is its failure cause, as in `read_models.dead`."""
    since_us: int | None = None
    """Enqueued at or after."""
    until_us: int | None = None
    """Enqueued before."""
    born_after: int = 0
    """Only jobs enqueued after this position are read: this limits a search with few matches."""


def derive(changes: Sequence[Change[Job]]) -> Iterator[Write]:
    """Add one row per new job; update the changing columns of other jobs."""
    yield Write(INSERT, [_row(job, events[0]) for before, job, events in changes if before is None])
    yield Write(UPDATE, [_changed(job) for before, job, _ in changes if before is not None])


JOBS = ReadModel(name="jobs", version=3, kind="job", derive=derive, table=TABLE, indexes=INDEXES)


def load(tx: Reader, job_id: str, tables: Tables) -> Job | None:
    """Return the job with this id; None if there is none. tables: the names to read from."""
    rows = tx.query(LOAD.format_map(tables), {"id": job_id})
    return job_from(rows[0]) if rows else None


def load_many(tx: Reader, job_ids: list[str], tables: Tables) -> dict[str, Job]:
    """Return the jobs with these ids that exist, by id."""
    among = tx.dialect.among.format(parameter="ids")
    sql = LOAD_MANY.format(among=among, jobs=tables["jobs"])
    rows = tx.query(sql, {"ids": msgspec.json.encode(job_ids).decode()})
    return {row[1]: job_from(row) for row in rows}


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
    return [job_from(row) for row in tx.query(OF_WORKER, {"worker": worker_id})]


def page(tx: Reader, which: Filter, before_born: int | None = None, limit: int = 50) -> list[Job]:
    """Return at most `limit` matching jobs, newest first, with `born` < `before_born`."""
    before = before_born or _NEWEST_POSSIBLE
    bindings: dict[str, Any] = {"before": before, "after": which.born_after, "limit": limit}
    return [job_from(row) for row in tx.query(page_sql(tx.dialect, which, bindings), bindings)]


def oldest(tx: Reader, which: Filter, after_born: int = 0, limit: int = 50) -> list[Job]:
    """Return at most `limit` matching jobs, oldest first, with `born` > `after_born`."""
    after = max(which.born_after, after_born)
    bindings: dict[str, Any] = {"before": _NEWEST_POSSIBLE, "after": after, "limit": limit}
    return [job_from(row) for row in tx.query(oldest_sql(tx.dialect, which, bindings), bindings)]


def oldest_sql(dialect: Dialect, which: Filter, bindings: dict[str, Any]) -> str:
    """Return the statement of `page_sql` with the oldest jobs first; it uses the same indexes."""
    return page_sql(dialect, which, bindings).replace("born DESC", "born")


def many(tx: Reader, born: Iterable[int]) -> list[Job]:
    """Return the jobs with these values of `born`, in this order; skip missing ones."""
    rows = (tx.query(BY_BORN, {"born": position}) for position in born)
    return [job_from(row[0]) for row in rows if row]


def page_sql(dialect: Dialect, which: Filter, bindings: dict[str, Any]) -> str:
    """Return the statement for a page of matching jobs, and add its values to `bindings`.

    The caller binds `before`, `after` and `limit`.
    """
    conditions = "".join(f" AND {text}" for text in _conditions(dialect, which, bindings))
    return _template(which, bindings).replace("{conditions}", conditions)


def _template(which: Filter, bindings: dict[str, Any]) -> str:
    if which.tag:
        bindings["key"], bindings["value"] = which.tag
        return TAGGED
    if not which.states and which.queue is None:
        return NEWEST
    of_queue = "" if which.queue is None else "queue = :queue AND "
    ranges = [
        RANGE.replace("{range}", f"{of_queue}state = :s{n}").replace("{number}", str(n))
        for n, _ in enumerate(which.states or STATES)
    ]
    return " UNION ALL ".join(ranges) + " ORDER BY born DESC LIMIT :limit"


def _conditions(dialect: Dialect, which: Filter, bindings: dict[str, Any]) -> Iterator[str]:
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
        yield SEARCH.format(
            like=dialect.like,
            name=dialect.json_text.format(column="spec", key="name"),
            tags=dialect.json_pairs.format(column="spec", key="tags"),
        )
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
    """Return a text to search for in the JSON of a job.

    If a value or a tag of a job contains `text`, the JSON of the job contains the returned text. A
    search for a tag is written KEY=VALUE, which is not in the JSON; so the longest part is
    returned.
    """
    longest = max(text.split("="), key=len)
    return msgspec.json.encode(longest).decode()[1:-1]


def _pattern(text: str) -> str:
    """Return a LIKE pattern for all texts that contain `text`."""
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def _changed(job: Job) -> tuple[Any, ...]:
    """Return the values of UPDATE."""
    return (*astuple(job)[_FIRST_CHANGING:], job.born)


def _row(job: Job, enqueued: Recorded) -> tuple[Any, ...]:
    """Return the values of INSERT."""
    born, job_id, spec, *rest = astuple(job)
    return born, job_id, codec.data_of(enqueued), *rest, spec.queue, spec.priority
