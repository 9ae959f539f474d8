"""The schema of the primary data on a server: the log, its guards, the outputs, the queue's id."""

from .address import literal

FORMAT = 1
"""`meta.format`: version of this schema and of the events. Queues with a higher one are refused."""

OLDEST_SERVER = 140_000
"""As libpq counts: PostgreSQL 14."""

NOW_US = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
"""The time by the server's clock: UTC, microseconds."""

LOCK_CLASS = 0x5143544C
"""`QCTL`: the first key of all advisory locks of this program."""

CREATION_LOCK = 0
"""The second key of the lock for creating queues."""

META = """
    CREATE TABLE meta (
        id       UUID NOT NULL,
        format   INTEGER NOT NULL,
        complete BOOLEAN NOT NULL DEFAULT true
    )"""
"""One row. id: identifies the queue. format: see FORMAT. complete: false while a migration into the
queue is under way.
"""

# Text is ordered by its bytes, as in SQLite and Python.
EVENTS = """
    CREATE TABLE events (
        position    BIGINT PRIMARY KEY,
        stream      TEXT COLLATE "C" NOT NULL,
        version     BIGINT NOT NULL,
        type        TEXT COLLATE "C" NOT NULL,
        recorded_at BIGINT NOT NULL,
        actor       TEXT COLLATE "C" NOT NULL,
        batch       BIGINT NOT NULL,
        cause       BIGINT,
        data        TEXT COLLATE "C" NOT NULL,
        hash        BYTEA NOT NULL,
        UNIQUE (stream, version)
    )"""

OUTPUTS = """
    CREATE TABLE outputs (
        job         TEXT COLLATE "C" NOT NULL,
        attempt     BIGINT NOT NULL,
        total_bytes BIGINT NOT NULL,
        kept        BYTEA,
        PRIMARY KEY (job, attempt)
    )"""

LEASES = """
    CREATE TABLE leases (
        worker TEXT COLLATE "C" PRIMARY KEY,
        nonce  BIGINT NOT NULL,
        beat   BIGINT NOT NULL
    ) WITH (fillfactor = 50)"""
"""The life of each worker: a random number that it replaces at each beat.

beat: when that was, by the server's clock (UTC, microseconds). Only for people: nothing depends on
it. See docs/decisions/0019.
"""

OUTPUT_CHUNKS = """
    CREATE TABLE output_chunks (
        job     TEXT COLLATE "C" NOT NULL,
        attempt BIGINT NOT NULL,
        since   BIGINT NOT NULL,
        data    BYTEA NOT NULL,
        PRIMARY KEY (job, attempt, since)
    )"""
"""Parts of long outputs. since: offset of the first byte in the whole output; or ALL_SENT."""

FOLLOWS = """
    CREATE TABLE follows (
        who   TEXT COLLATE "C" PRIMARY KEY,
        what  TEXT COLLATE "C" NOT NULL,
        until BIGINT NOT NULL
    )"""
"""The programs that watch the queue. until: UTC, microseconds, by the server's clock."""

REFUSE_CHANGE = """
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted';
END"""

# The new rows take the positions after the last one. By the primary key.
REFUSE_GAP = """
DECLARE
    first BIGINT; last BIGINT; amount BIGINT;
BEGIN
    SELECT min(position), max(position), count(*) INTO first, last, amount FROM added;
    IF amount > 0 AND (
        last - first + 1 <> amount
        OR last <> (SELECT max(position) FROM {schema}.events)
        OR first <> 1 + coalesce(
            (SELECT max(position) FROM {schema}.events WHERE position < first), 0)
    ) THEN
        RAISE EXCEPTION 'events are only added at the end';
    END IF;
    RETURN NULL;
END"""

CONFLICT = "a stream has another version"
"""The message of the error of `refuse_conflict`."""

# One search in the unique index for each stream. The detail of the error has the numbers first:
# the name of a stream may contain spaces.
REFUSE_CONFLICT = f"""
DECLARE
    conflict RECORD;
BEGIN
    SELECT stream, version, current INTO conflict
      FROM unnest(streams, versions) AS expected (stream, version)
     CROSS JOIN LATERAL (
           SELECT coalesce(max(events.version), 0) AS current FROM events
            WHERE events.stream = expected.stream) AS log
     WHERE current <> version LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '{CONFLICT}' USING ERRCODE = 'serialization_failure',
            DETAIL = format('%s %s %s', conflict.version, conflict.current, conflict.stream);
    END IF;
END"""

FUNCTIONS = {"refuse_change": REFUSE_CHANGE, "refuse_gap": REFUSE_GAP}
"""Name and body of the functions that the triggers call. `{schema}` is replaced."""

SEARCH_PATH = "search_path = pg_catalog, pg_temp"
"""Of the functions: otherwise they would use functions and operators that a writer has put first
in its own path.
"""

TRIGGERS = {
    "events_never_change": ("BEFORE UPDATE ON events", "refuse_change"),
    "events_never_go": ("BEFORE DELETE ON events", "refuse_change"),
    "events_never_vanish": ("BEFORE TRUNCATE ON events", "refuse_change"),
    "events_only_at_the_end": (
        "AFTER INSERT ON events REFERENCING NEW TABLE AS added",
        "refuse_gap",
    ),
}
"""The guards: name, when the trigger fires, and the function it calls."""


def body(function: str, quoted_schema: str) -> str:
    """Return the body of a function of the guards, as it is stored."""
    return FUNCTIONS[function].format(schema=quoted_schema)


def definition(trigger: str) -> str:
    """Return the definition of a guard, as `pg_get_triggerdef` prints it in this schema."""
    when, function = TRIGGERS[trigger]
    return f"CREATE TRIGGER {trigger} {when} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"


def statements(quoted_schema: str) -> list[str]:
    """Return the statements that create all this in the schema, which comes first in the path."""
    functions = [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET {SEARCH_PATH}"
        f" AS {literal(body(name, quoted_schema))}"
        for name in FUNCTIONS
    ]
    functions.append(
        "CREATE FUNCTION refuse_conflict(streams TEXT[], versions BIGINT[]) RETURNS void"
        f" LANGUAGE plpgsql AS $body${REFUSE_CONFLICT}$body$"
    )
    triggers = [definition(name) for name in TRIGGERS]
    # Without ALWAYS, `session_replication_role` would switch them off.
    always = [f"ALTER TABLE events ENABLE ALWAYS TRIGGER {name}" for name in TRIGGERS]
    tables = [META, EVENTS, OUTPUTS, LEASES, OUTPUT_CHUNKS, FOLLOWS]
    return [*tables, *functions, *triggers, *always]
