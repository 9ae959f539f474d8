"""The parts of a verification that are SQLite's: damaged pages, the index, the triggers."""

import re
from collections.abc import Iterator

from ..chain import Break
from ..errors import ChainBroken
from ..store import Reader, Row
from .error_translation import DAMAGED, failed_read
from .schema import TRIGGERS


def records_until_damage(tx: Reader) -> Iterator[Row]:
    """Iterate over all records. Raises ChainBroken at a damaged page."""
    position = 0
    try:
        for row in tx.records():
            position = row[0]
            yield row
    except DAMAGED as error:
        if failed_read() is not None:
            raise
        raise ChainBroken(position + 1, f"the file is damaged here ({error})") from None


def unindexed(tx: Reader) -> Break | None:
    """Return the first record that is missing from the (stream, version) index.

    None if none is. This check takes about a sixth of the time of a verification.
    """
    problems = [text for (text,) in tx.query("PRAGMA integrity_check('events')")]
    if problems == ["ok"]:
        return None
    positions = [int(digits) for digits in re.findall(r"\brow (\d+)", " ".join(problems))]
    return Break(min(positions, default=1), f"the index of streams is damaged ({problems[0]})")


def missing_triggers(tx: Reader) -> tuple[str, ...]:
    """Return the names of the log's triggers that are missing or were changed."""
    rows = tx.query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    stored: dict[str, str] = dict(rows)
    return tuple(name for name, sql in TRIGGERS.items() if stored.get(name) != sql.strip())
