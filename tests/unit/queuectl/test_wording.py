"""Durations, sizes and events in words."""

import pytest

from eventstore.events.job import (
    Cancelled,
    Claimed,
    Dead,
    Enqueued,
    Failed,
    Requeued,
    ScheduledRetry,
    Succeeded,
)
from eventstore.events.recorded import Event
from queuectl.wording import duration, plural, size, what

SPEC = Enqueued(command="true", max_retries=3, backoff_base=2.0)


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0 s"),
        (400, "0.4 ms"),
        (99_949, "99.9 ms"),
        (900_000, "0.9 s"),
        (38_000_000, "38.0 s"),
        (59_949_999, "59.9 s"),
        (59_950_000, "1m"),
        (72_000_000, "1m 12s"),
        (3_600_000_000, "1h"),
        (273_600_000_000, "3d 4h"),
    ],
)
def test_duration_has_two_units_at_most(us: int, words: str) -> None:
    assert duration(us) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (10**18, "1 EB")],
)
def test_size_has_three_digits(count: int, words: str) -> None:
    assert size(count) == words


def test_one_is_no_plural() -> None:
    assert plural(1, "retry", "retries") == "1 retry"
    assert plural(1200, "slot") == "1,200 slots"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (SPEC, "queue default, 3 retries"),
        (Claimed(attempt=1, worker="3f", slot=1, waited_us=900_000), "attempt 1, waited 0.9 s"),
        (Succeeded(attempt=1, duration_us=38_000_000), "exit 0 after 38.0 s"),
        (Succeeded(attempt=1, exit_code=None, signal=15), "signal 15"),
        (Failed(attempt=1, reason="signal", signal=9), "signal 9"),
        (
            Failed(attempt=1, reason="worker-lost", counted=False),
            "worker lost, uses no retry",
        ),
        (
            Failed(attempt=1, reason="launch", error="Exec format error"),
            "launch: Exec format error",
        ),
        (
            ScheduledRetry(attempt=2, retry=2, delay_us=4_000_000, due_at_us=0),
            "in 4.0 s (2 ** 2), retry 2 of 3",
        ),
        (
            ScheduledRetry(attempt=2, retry=2, delay_us=3_100_000, due_at_us=0),
            "in 3.1 s, retry 2 of 3",
        ),
        (Dead(attempt=4, reason="retries-used-up"), "retries used up (3 of 3)"),
        (
            Requeued(why="dlq", reason="disk mended"),
            "by hand, from the dead-letter queue: disk mended",
        ),
        (Cancelled(reason="not needed"), "while waiting: not needed"),
        (
            Cancelled(attempt=1, signal=15, duration_us=500_000, stragglers=2),
            "signal 15 after 0.5 s, with 2 processes it left behind",
        ),
    ],
)
def test_event_tells_what_its_type_does_not(event: Event, words: str) -> None:
    assert what(event, SPEC) == words
