"""The hash that links each record to the previous one: tamper-evident, not tamper-proof."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

GENESIS = bytes(32)
"""The previous hash of the first record."""


class RawRecord(NamedTuple):
    """A record as stored in its row, not decoded."""

    position: int
    stream: str
    version: int
    type: str
    recorded_at_us: int
    actor: str
    batch: int
    cause: int | None
    data: str
    hash: bytes


Content = tuple[int, str, int, str, int, str, int, int | None, str]
"""The columns of a record without its hash, in the order of RawRecord."""


class Break(NamedTuple):
    """The first record that was changed or is missing."""

    position: int
    what: str


def hash_of(previous: bytes, content: Content) -> bytes:
    """Return the SHA-256 of the previous hash, each column followed by LF, and the data.

    content: the columns of a record without its hash, as in RawRecord. Raises ValueError if a
    column contains LF: two different records could have the same hash then.
    """
    position, stream, version, type_name, recorded_at_us, actor, batch, cause, data = content
    head = (
        f"{position}\n{stream}\n{version}\n{type_name}\n{recorded_at_us}\n"
        f"{actor}\n{batch}\n{'' if cause is None else cause}\n"
    )
    if head.count("\n") != 8:
        raise ValueError(f"line feed in a column of the record at position {position}")
    return sha256(previous + (head + data).encode()).digest()


def first_break(
    records: Iterable[RawRecord | tuple[Any, ...]], previous: bytes = GENESIS, after: int = 0
) -> Break | None:
    """Return the first of `records` that does not fit the chain; None if all fit.

    records: in order of position, from `after` + 1 on. previous: the hash of the record at `after`.
    """
    expected = after
    for raw in records:
        expected += 1
        if raw[0] != expected:
            return Break(expected, f"missing; the next record is {raw[0]}")
        try:
            previous = hash_of(previous, raw[:-1])
        except (ValueError, TypeError) as error:
            return Break(expected, f"unreadable ({error})")
        if previous != raw[-1]:
            return Break(expected, "its content does not match its hash")
    return None
