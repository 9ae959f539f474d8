"""Whether the log is what was written: the chain, its guards, and a head kept elsewhere."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..chain import GENESIS, Break, Raw, first_break
from ..store import Head
from .reader import SqliteReader
from .schema import TRIGGERS

Progress = Callable[[int], None]
"""Called now and then with the number of records looked at."""


class Verdict(NamedTuple):
    """What was found."""

    records: int
    head: Head
    broken: Break | None
    missing_triggers: tuple[str, ...]
    expected: Head | None
    """The head to hold the log against, where one was given."""
    expected_found: str | None
    """The hash that stands at its position; None where the log does not reach it."""

    @property
    def sound(self) -> bool:
        """Whether the log is what was written, as far as can be seen."""
        return not (self.broken or self.missing_triggers or self.contradicts)

    @property
    def contradicts(self) -> bool:
        """Whether the log is not a continuation of the expected head."""
        return self.expected is not None and self.expected_found != self.expected.hash


def verify(
    tx: SqliteReader, expected: Head | None = None, progress: Progress = lambda _: None
) -> Verdict:
    """Look at every record, in flat memory."""
    head = tx.head()
    broken = first_break(_watched(tx.raw(), progress))
    return Verdict(
        records=head.position,
        head=head,
        broken=broken,
        missing_triggers=_missing_triggers(tx),
        expected=expected,
        expected_found=_hash_at(tx, expected.position) if expected else None,
    )


def _watched(records: Iterator[Raw], progress: Progress) -> Iterator[Raw]:
    for raw in records:
        if raw.position % 10_000 == 0:
            progress(raw.position)
        yield raw


def _missing_triggers(tx: SqliteReader) -> tuple[str, ...]:
    """Those that are gone or say something else than we wrote."""
    rows = tx.query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    found: dict[str, str] = dict(rows)
    return tuple(name for name, sql in TRIGGERS.items() if found.get(name) != sql.strip())


def _hash_at(tx: SqliteReader, position: int) -> str | None:
    if position == 0:
        return GENESIS.hex()
    found = tx.query("SELECT hash FROM events WHERE position = ?", (position,))
    return str(found[0][0].hex()) if found else None
