"""Points in time as people write them."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import BadInput
from queuectl.text.timestamps import by_the_day, coming_us, instant_us, past_us, relative_us

NOON = datetime(2026, 11, 24, 12, 0).astimezone()


def us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


NOW_US = us(NOON)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOON),
        ("2h-ago", NOON - timedelta(hours=2)),
        ("90s ago", NOON - timedelta(seconds=90)),
        ("in 2h", NOON + timedelta(hours=2)),
        ("+5m", NOON + timedelta(minutes=5)),
        ("14:05", NOON.replace(hour=14, minute=5)),
        ("9:00", NOON.replace(hour=9)),
        ("today", NOON.replace(hour=0)),
        ("yesterday 14:05", NOON.replace(day=23, hour=14, minute=5)),
        ("tomorrow 9:00:30", NOON.replace(day=25, hour=9, second=30)),
        ("2026-11-24", NOON.replace(hour=0)),
        ("2026-11-24 14:05", NOON.replace(hour=14, minute=5)),
        ("2026-11-24T14:05:00Z", datetime(2026, 11, 24, 14, 5, tzinfo=UTC)),
        ("2026-11-24T14:05:00.250+02:00", datetime(2026, 11, 24, 12, 5, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_parsed(text: str, at: datetime) -> None:
    assert instant_us(text, NOW_US) == us(at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "14",
        "25:00",
        "14:60",
        "5m",
        "-5m-ago",
        "yesterday noon",
        "2026-13-01",
        "1969-01-01T00:00Z",
    ],
)
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        instant_us(text, NOW_US)


def test_a_time_of_day_that_has_passed_means_tomorrow() -> None:
    assert coming_us("9:00", NOW_US) == us(NOON.replace(day=25, hour=9))
    assert coming_us("14:05", NOW_US) == us(NOON.replace(hour=14, minute=5))


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(BadInput):
        assert isinstance(instant_us(text, NOW_US), int)


@pytest.fixture
def autumn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Central Europe, where 2026-10-25 has two hours from 2:00 to 3:00."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("autumn")
@pytest.mark.parametrize(
    ("now", "text", "due"),
    [
        ("2026-10-25T00:15Z", "2:30", "2026-10-25T00:30Z"),
        ("2026-10-25T00:45Z", "2:30", "2026-10-25T01:30Z"),
        ("2026-10-25T00:45Z", "today 2:30", "2026-10-25T01:30Z"),
        ("2026-10-25T00:45Z", "2026-10-25T02:30", "2026-10-25T01:30Z"),
        ("2026-10-25T01:45Z", "2:30", "2026-10-26T01:30Z"),
        ("2026-10-25T01:45Z", "today 2:30", "2026-10-25T00:30Z"),
        ("2026-10-25T00:45Z", "1:30", "2026-10-26T00:30Z"),
    ],
)
def test_the_repeated_hour_in_autumn_is_not_moved_to_tomorrow(
    now: str, text: str, due: str
) -> None:
    now_us, due_us = (us(datetime.fromisoformat(at)) for at in (now, due))
    assert coming_us(text, now_us) == due_us


def test_only_words_that_depend_on_the_day_are_kept() -> None:
    assert by_the_day("Tomorrow  9:00") == "tomorrow 9:00"
    assert by_the_day("14:05") == "14:05"
    assert by_the_day("2026-11-24 14:05") is None
    assert relative_us("in 2h") == 7_200_000_000
    assert relative_us("now") == 0
    assert relative_us("14:05") is None


def test_a_duration_alone_means_that_long_ago() -> None:
    for text in ("2h", "120m", "2h-ago", "2h ago", "1h 60m"):
        assert past_us(text, NOW_US) == us(NOON - timedelta(hours=2))
    assert past_us("9:00", NOW_US) == us(NOON.replace(hour=9))
    assert past_us("2026-11-24", NOW_US) == us(NOON.replace(hour=0))
    with pytest.raises(BadInput):
        past_us("2 moons", NOW_US)
