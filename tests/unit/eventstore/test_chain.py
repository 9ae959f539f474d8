"""The hash that links each record to the previous one."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.chain import GENESIS, Break, RawRecord, first_break, hash_of


def link(previous: bytes, raw: RawRecord) -> bytes:
    return hash_of(previous, raw[:-1])


def record(position: int, previous: bytes, data: str = '{"attempt":1}') -> RawRecord:
    raw = RawRecord(
        position, "7", position, "claimed", 1_700, "anna@box", position, None, data, b""
    )
    return raw._replace(hash=link(previous, raw))


def log(length: int) -> list[RawRecord]:
    records: list[RawRecord] = []
    for position in range(1, length + 1):
        records.append(record(position, records[-1].hash if records else GENESIS))
    return records


def test_hash_covers_columns_and_data_as_documented() -> None:
    raw = RawRecord(2, "7", 1, "dead", 1_700, "anna@box", 2, 1, '{"attempt":3}', b"")
    text = b'2\n7\n1\ndead\n1700\nanna@box\n2\n1\n{"attempt":3}'
    assert link(GENESIS, raw) == sha256(bytes(32) + text).digest()


def test_missing_cause_is_hashed_as_an_empty_line() -> None:
    raw = RawRecord(1, "7", 1, "dead", 1_700, "anna@box", 1, None, "{}", b"")
    assert (
        link(GENESIS, raw) == sha256(bytes(32) + b"1\n7\n1\ndead\n1700\nanna@box\n1\n\n{}").digest()
    )


def test_line_feed_in_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="line feed"):
        link(GENESIS, RawRecord(1, "7\n8", 1, "dead", 1_700, "anna@box", 1, None, "{}", b""))


def test_unchanged_log_has_no_break() -> None:
    assert first_break(log(5)) is None


@given(st.integers(0, 4), st.sampled_from(RawRecord._fields))
def test_any_changed_column_is_reported(index: int, column: str) -> None:
    records = log(5)
    value = getattr(records[index], column)
    others: dict[type, Any] = {int: 99, str: "changed", bytes: bytes(32), type(None): 1}
    records[index] = records[index]._replace(**{column: others[type(value)]})
    broken = first_break(records)
    assert broken is not None
    assert broken.position == index + 1


def test_missing_record_is_reported() -> None:
    records = log(5)
    del records[2]
    assert first_break(records) == Break(3, "missing; the next record is 4")


def test_swapped_records_are_reported() -> None:
    records = log(5)
    records[1], records[2] = (
        records[2]._replace(position=2),
        records[1]._replace(position=3),
    )
    assert first_break(records) == Break(2, "its content does not match its hash")
