"""The schema of the primary data: the log and the outputs."""

APPLICATION_ID = 0x5143544C
"""`QCTL`, at byte 68 of the file, where file(1) and this program look for it."""

FORMAT = 1
"""`user_version`: version of this schema and of the events. Files with a higher one are refused."""

EVENTS = """
    CREATE TABLE events (
        position    INTEGER PRIMARY KEY,
        stream      TEXT NOT NULL,
        version     INTEGER NOT NULL,
        type        TEXT NOT NULL,
        recorded_at INTEGER NOT NULL,
        actor       TEXT NOT NULL,
        batch       INTEGER NOT NULL,
        cause       INTEGER,
        data        TEXT NOT NULL,
        hash        BLOB NOT NULL,
        UNIQUE (stream, version)
    ) STRICT"""

TRIGGERS = {
    "events_never_change": """
        CREATE TRIGGER events_never_change BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END""",
    "events_never_go": """
        CREATE TRIGGER events_never_go BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END""",
    # Without it, INSERT OR REPLACE could bypass the other two.
    "events_only_at_the_end": """
        CREATE TRIGGER events_only_at_the_end BEFORE INSERT ON events
        WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM events)
        BEGIN SELECT RAISE(ABORT, 'events are only added at the end'); END""",
}

OUTPUTS = """
    CREATE TABLE outputs (
        job         TEXT NOT NULL,
        attempt     INTEGER NOT NULL,
        total_bytes INTEGER NOT NULL,
        kept        BLOB,
        PRIMARY KEY (job, attempt)
    ) STRICT, WITHOUT ROWID"""

LAST_USE = "CREATE TABLE last_use (path TEXT NOT NULL, inode TEXT NOT NULL) STRICT"
"""One row: the path under which the file was last written to, and its inode. See file_name.py."""

SCHEMA = (EVENTS, *TRIGGERS.values(), OUTPUTS, LAST_USE)
