"""The hash that links each record to the previous one, so that changes of the log are detected.

The log is tamper-evident, not tamper-proof: a change of a record is detected, since all later
hashes depend on it. It is not prevented: who can write the file can compute all hashes anew. A head
(position and hash) that is kept elsewhere detects that as well.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

GENESIS = bytes(32)
"""The previous hash of the first record."""


class RawRecord(NamedTuple):
    """A record as it is stored in its row: the event is not decoded."""

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


COLUMNS = "position, stream, version, type, recorded_at, actor, batch, cause, data, hash"
"""The columns of a stored record, in the order of RawRecord."""

Content = tuple[int, str, int, str, int, str, int, int | None, str]
"""The columns of a record without its hash, in the order of RawRecord."""


class Break(NamedTuple):
    """The first position at which the chain is broken."""

    position: int
    """Of the first record that was changed or is missing."""
    what: str
    """A description of the problem."""


def hash_of(previous: bytes, content: Content) -> bytes:
    """Return the SHA-256 of the previous hash, each column followed by LF, and the data.

    content: the columns of a record without its hash, as in RawRecord. Raises ValueError if a
    column contains LF: otherwise two different records could have the same hash.
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
    """Check the hash of each record; return the first break of the chain, or None.

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
