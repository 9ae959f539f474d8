"""The descriptions of sizes and events."""

import pytest

from eventstore.events.config import ConfigChanged
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
from queuectl.event_wording import event_text
from queuectl.text.numbers import plural
from queuectl.text.sizes import size

SPEC = Enqueued(command="true", max_retries=3, backoff_base=2.0)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (10**18, "1 EB")],
)
def test_size_has_three_digits(count: int, words: str) -> None:
    assert size(count) == words


def test_a_count_of_one_has_a_singular_noun() -> None:
    assert plural(1, "retry", "retries") == "1 retry"
    assert plural(1200, "slot") == "1,200 slots"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (SPEC, "queue default, 3 retries"),
        (Claimed(attempt=1, worker="3f", slot=1, waited_us=900_000), "attempt 1, waited 900ms"),
        (Succeeded(attempt=1, duration_us=38_000_000), "exit 0 after 38s"),
        (Succeeded(attempt=1, exit_code=None, signal=15), "signal 15 (SIGTERM)"),
        (Failed(attempt=1, reason="signal", signal=9), "signal 9 (SIGKILL)"),
        (
            Failed(attempt=1, reason="worker-lost", counted=False),
            "worker lost, not counted as a retry",
        ),
        (
            Failed(attempt=1, reason="launch", error="Exec format error"),
            "could not be started: Exec format error",
        ),
        (
            ScheduledRetry(attempt=2, retry=2, delay_us=4_000_000, due_at_us=0),
            "in 4s (2 ** 2), retry 2 of 3",
        ),
        (
            ScheduledRetry(attempt=2, retry=2, delay_us=3_100_000, due_at_us=0),
            "in 3.1s, retry 2 of 3",
        ),
        (Dead(attempt=4, reason="retries-used-up"), "retries used up (3 of 3)"),
        (Dead(attempt=3, reason="worker-lost"), "worker lost three times in a row"),
        (
            Requeued(why="dlq", reason="disk mended"),
            "dlq retry: disk mended",
        ),
        (ConfigChanged(key="timeout", value=300_000_000), "timeout: default → 5m"),
        (ConfigChanged(key="timeout", before=300_000_000, value=0), "timeout: 5m → none"),
        (
            ConfigChanged(key="output-limit", value=None, before=10 << 20),
            "output-limit: 10M → default",
        ),
        (ConfigChanged(key="of-a-newer-version", value=7), "of-a-newer-version: default → 7"),
        (Cancelled(reason="not needed"), "while waiting: not needed"),
        (
            Cancelled(
                attempt=1,
                signal=15,
                duration_us=500_000,
                stragglers=2,
                straggler_names=("sh", "sleep"),
            ),
            "signal 15 (SIGTERM) after 500ms; ended 2 background processes: sh, sleep",
        ),
    ],
)
def test_an_event_is_described_by_the_details_of_its_fields(event: Event, words: str) -> None:
    assert event_text(event, SPEC) == words
