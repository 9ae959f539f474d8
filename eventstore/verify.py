"""Verifying the log: its hash chain, its guards, and a head that was kept elsewhere."""

from collections.abc import Iterator
from typing import NamedTuple

from .chain import GENESIS, Break, first_break
from .errors import ChainBroken
from .store import Head, OnProgress, Reader, Row

REPORTED_EVERY = 10_000


class Verdict(NamedTuple):
    """The result of a verification."""

    records: int
    head: Head
    broken: Break | None
    missing_guards: tuple[str, ...]
    """Names of the triggers against changes of records that are missing or were changed."""
    excess_rights: tuple[str, ...]
    """Who may do more to the log than append, beyond its owner, as `Reader.excess_rights` says."""
    expected: Head | None
    """The head that the log must contain, if one was given."""
    actual_hash: str | None
    """The hash at the position of `expected`; None if there is none, or the log ends before it."""

    @property
    def sound(self) -> bool:
        """True if no change and no damage was found."""
        return not (self.broken or self.missing_guards or self.excess_rights or self.contradicts)

    @property
    def contradicts(self) -> bool:
        """True if the log does not contain the expected head."""
        return self.expected is not None and self.actual_hash != self.expected.hash


def verify(
    tx: Reader, expected: Head | None = None, on_progress: OnProgress = lambda _, __: None
) -> Verdict:
    """Check every record and return the result, in constant memory.

    expected: a head that the log must contain.
    """
    head = tx.head()
    try:
        records = _watched(tx.records_until_damage(), head.position, on_progress)
        broken = first_break(records) or tx.unindexed()
    except ChainBroken as error:
        broken = Break(error.position, error.what)
    return Verdict(
        records=head.position,
        head=head,
        broken=broken,
        missing_guards=tx.missing_guards(),
        excess_rights=tx.excess_rights(),
        expected=expected,
        actual_hash=_hash_at(tx, expected.position) if expected else None,
    )


def _watched(records: Iterator[Row], total: int, on_progress: OnProgress) -> Iterator[Row]:
    """Yield the records and report progress."""
    for row in records:
        if row[0] % REPORTED_EVERY == 0:
            on_progress(row[0], total)
        yield row


def _hash_at(tx: Reader, position: int) -> str | None:
    """Return the hash at this position, in hexadecimal; position 0 has the hash of an empty log."""
    return GENESIS.hex() if position == 0 else tx.hash_at(position)
