"""Verifying the log: its hash chain, its triggers, and a head that was kept elsewhere."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..chain import GENESIS, Break, first_break
from ..errors import ChainBroken
from ..store import Head, OnProgress, Row
from .error_translation import DAMAGED, failed_read
from .reader import SqliteReader
from .schema import TRIGGERS

REPORTED_EVERY = 10_000


class Verdict(NamedTuple):
    """The result of a verification."""

    records: int
    head: Head
    broken: Break | None
    missing_triggers: tuple[str, ...]
    """Triggers that are missing or were changed."""
    expected: Head | None
    """The head that the log must contain, if one was given."""
    actual_hash: str | None
    """The hash at its position; None if the log ends before it."""

    @property
    def sound(self) -> bool:
        """True if no change and no damage was found."""
        return not (self.broken or self.missing_triggers or self.contradicts)

    @property
    def contradicts(self) -> bool:
        """True if the log does not contain the expected head."""
        return self.expected is not None and self.actual_hash != self.expected.hash


def verify(
    tx: SqliteReader, expected: Head | None = None, on_progress: OnProgress = lambda _, __: None
) -> Verdict:
    """Check every record and return the result. Memory use does not depend on the number of them.

    expected: a head that the log must contain.
    """
    head = tx.head()
    try:
        records = _watched(tx.records(), head.position, on_progress)
        broken = first_break(records) or _misplaced(tx)
    except ChainBroken as error:
        broken = Break(error.position, error.what)
    return Verdict(
        records=head.position,
        head=head,
        broken=broken,
        missing_triggers=_missing_triggers(tx),
        expected=expected,
        actual_hash=_hash_at(tx, expected.position) if expected else None,
    )


def _watched(records: Iterator[Row], total: int, on_progress: OnProgress) -> Iterator[Row]:
    """Yield the records and report progress. Raises ChainBroken at a damaged page."""
    position = 0
    try:
        for row in records:
            position = row[0]
            if position % REPORTED_EVERY == 0:
                on_progress(position, total)
            yield row
    except DAMAGED as error:
        if failed_read() is not None:
            raise
        raise ChainBroken(position + 1, f"the file is damaged here ({error})") from None


def _misplaced(tx: SqliteReader) -> Break | None:
    """Return the first record that is missing from the (stream, version) index.

    The hash chain does not detect that, and `history` reads through this index. This takes about a
    sixth of the time of a verification.
    """
    problems = [text for (text,) in tx.query("PRAGMA integrity_check('events')")]
    if problems == ["ok"]:
        return None
    positions = [int(digits) for digits in re.findall(r"\brow (\d+)", " ".join(problems))]
    return Break(min(positions, default=1), f"the index of streams is damaged ({problems[0]})")


def _missing_triggers(tx: SqliteReader) -> tuple[str, ...]:
    """Return the names of the log's triggers that are missing or were changed."""
    rows = tx.query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    stored: dict[str, str] = dict(rows)
    return tuple(name for name, sql in TRIGGERS.items() if stored.get(name) != sql.strip())


def _hash_at(tx: SqliteReader, position: int) -> str | None:
    if position == 0:
        return GENESIS.hex()
    rows = tx.query("SELECT lower(hex(hash)) FROM events WHERE position = ?", (position,))
    return str(rows[0][0]) if rows else None
