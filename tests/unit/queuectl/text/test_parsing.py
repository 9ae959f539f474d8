"""Durations and sizes as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import BadInput
from queuectl.text.durations import LONGEST_US, duration_us, exact_duration
from queuectl.text.sizes import size_bytes, size_text


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("90", 90_000_000),
        ("90s", 90_000_000),
        ("1.5", 1_500_000),
        ("5m", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("1h 30m", 5_400_000_000),
        ("2d", 172_800_000_000),
        ("1w", 604_800_000_000),
        ("100ms", 100_000),
        ("1.5h", 5_400_000_000),
        ("7us", 7),
        ("0", 0),
    ],
)
def test_a_duration_is_parsed(text: str, us: int) -> None:
    assert duration_us(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5m",
        "-1",
        "5x",
        "m",
        "1h30",
        "30m1h",
        "5m5m",
        "1e3",
        "nan",
        "inf",
        "٣",
        "5 m",
        "999999w",
    ],
)
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        duration_us(text)


@pytest.mark.parametrize("text", ["\x1b" * 9_000, "1h" + " " * 9_000 + "x", "9" * 9_000])
def test_refusal_of_a_long_text_is_short(text: str) -> None:
    for read in (duration_us, size_bytes):
        with pytest.raises(BadInput) as refused:
            read(text)
        assert len(str(refused.value)) < 300


@given(st.integers(0, LONGEST_US))
def test_a_duration_is_formatted_exactly(us: int) -> None:
    assert duration_us(exact_duration(us)) == us


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    with suppress(BadInput):
        assert 0 <= duration_us(text) <= LONGEST_US


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("512K", 512 << 10), ("10M", 10 << 20), ("2g", 2 << 30), ("1MiB", 1 << 20)],
)
def test_a_size_is_parsed(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "10X", "M", "1e6", "1,000"])
def test_invalid_sizes_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        size_bytes(text)


@given(st.integers(0, 1 << 40))
def test_a_size_is_formatted_exactly(size: int) -> None:
    assert size_bytes(size_text(size)) == size
