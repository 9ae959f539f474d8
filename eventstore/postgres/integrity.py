"""What verifying the log needs from PostgreSQL: damaged pages, the index of streams, the guards."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg

from ..chain import COLUMNS, Break
from ..errors import ChainBroken
from ..store import Row
from .schema import SEARCH_PATH, TRIGGERS, body, definition

if TYPE_CHECKING:
    from .reader import PostgresReader

ROWS_PER_FETCH = 1_000

# With the other plans switched off, each record is searched in the index of streams: if the index
# lacks it, it is not found.
UNINDEXED = """
    SELECT position FROM events
     WHERE NOT EXISTS (SELECT 1 FROM events AS indexed
                        WHERE indexed.stream = events.stream AND indexed.version = events.version)
     ORDER BY position LIMIT 1"""

_OTHER_PLANS = ("hashjoin", "mergejoin", "seqscan", "bitmapscan")

# By the primary key.
PAGE = f"SELECT {COLUMNS} FROM events WHERE position > :after ORDER BY position LIMIT :limit"

GUARDS = """
    SELECT tgname, pg_get_triggerdef(pg_trigger.oid, true), tgenabled = 'A', prosrc,
           replace(array_to_string(proconfig, ';'), '=', ' = ')
      FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
     WHERE tgrelid = CAST('events' AS regclass) AND NOT tgisinternal"""

CHECKSUMS = """
    SELECT checksum_failures FROM pg_stat_database
     WHERE datname = current_database() AND checksum_failures > 0"""


def records_until_damage(tx: "PostgresReader") -> Iterator[Row]:
    """Iterate over all records. Raises ChainBroken at the first that the server cannot read."""
    position, limit = 0, ROWS_PER_FETCH
    while True:
        try:
            rows = _page(tx, position, limit)
        except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
            if limit == 1:
                what = f"the server cannot read it ({error.diag.message_primary})"
                raise ChainBroken(position + 1, what) from None
            limit = 1  # to find the first one
            continue
        if not rows:
            return
        yield from rows
        position = rows[-1][0]


def _page(tx: "PostgresReader", after: int, limit: int) -> list[Row]:
    """Return the next records. After an error, the transaction can go on."""
    with tx.savepoint():
        return tx.query(PAGE, {"after": after, "limit": limit})


def unindexed(tx: "PostgresReader") -> Break | None:
    """Return the first record that is missing from the (stream, version) index.

    Only for the rest of this transaction, other plans are switched off.
    """
    for plan in _OTHER_PLANS:
        tx.query(f"SELECT set_config('enable_{plan}', 'off', true)")
    rows = tx.query(UNINDEXED)
    for plan in _OTHER_PLANS:
        tx.query(f"SELECT set_config('enable_{plan}', 'on', true)")
    return Break(rows[0][0], "it is missing from the index of streams") if rows else None


def missing_guards(tx: "PostgresReader", quoted_schema: str) -> tuple[str, ...]:
    """Return the names of the log's triggers that are missing, switched off or were changed."""
    intact = {
        name
        for name, stored, always, source, path in tx.query(GUARDS)
        if name in TRIGGERS
        and (stored, always, path) == (definition(name), True, SEARCH_PATH)
        and source == body(TRIGGERS[name][1], quoted_schema)
    }
    return tuple(name for name in TRIGGERS if name not in intact)


def damage(tx: "PostgresReader") -> str | None:
    """Return how many damaged pages the server has met; None if none, or if it has no checksums."""
    rows = tx.query(CHECKSUMS)
    return f"the server met {rows[0][0]} damaged pages in this database" if rows else None
