"""The pictures' geometry."""

import pytest

from eventstore.events.job import Claimed, Enqueued, Failed, Requeued, ScheduledRetry, Succeeded
from eventstore.events.recorded import Event, Recorded
from projections.read_models.throughput import MINUTE_US, Minute
from queuectl.dashboard.chart import life, nice, throughput

NOW_US = 1_000 * MINUTE_US + 30_000_000


def minute(number: int, succeeded: int, failed: int) -> Minute:
    """A minute with work in it."""
    return Minute(number * MINUTE_US, succeeded + failed, 0, succeeded, failed, 0, 0, 0)


def at(second: float, event: Event) -> Recorded:
    """The event, recorded so many seconds after the first."""
    return Recorded(
        position=1,
        stream="1",
        version=1,
        type="",
        recorded_at_us=int(second * 1e6),
        actor="",
        batch=1,
        cause=None,
        data="",
        hash=b"",
        event=event,
    )


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 4), (4, 4), (5, 10), (11, 20), (21, 50), (99, 100), (12_345, 20_000)]
)
def test_scale_ends_at_a_number_people_can_read(highest: int, top: int) -> None:
    assert nice(highest) == top


def test_hour_is_sixty_minutes_that_end_now() -> None:
    chart = throughput([minute(1_000, 6, 2), minute(941, 3, 0)], NOW_US)
    assert len(chart.bars) == 60
    assert (chart.bars[0].minute.succeeded, chart.bars[-1].minute.succeeded) == (3, 6)
    assert (chart.top, chart.succeeded, chart.failed, chart.enqueued) == (10, 9, 2, 11)
    assert (chart.bars[-1].succeeded, chart.bars[-1].failed) == (60.0, 20.0)
    assert chart.bars[-1].enqueued == 20.0


def test_minute_beyond_the_hour_is_left_out() -> None:
    assert throughput([minute(940, 9, 0)], NOW_US).succeeded == 0


def test_life_shows_each_state_as_long_as_it_lasted() -> None:
    stretches = life(
        [
            at(0, Enqueued(command="x", max_retries=1, backoff_base=2.0)),
            at(1, Claimed(attempt=1, worker="w", slot=1)),
            at(3, Failed(attempt=1, reason="exit", exit_code=1)),
            at(3, ScheduledRetry(attempt=1, retry=1, delay_us=2_000_000, due_at_us=5_000_000)),
            at(5, Requeued(why="retry-due")),
            at(5, Claimed(attempt=2, worker="w", slot=1)),
            at(10, Succeeded(attempt=2)),
        ],
        NOW_US,
    )
    assert [(one.state, one.spent_us / 1e6) for one in stretches] == [
        ("pending", 1),
        ("processing", 2),
        ("failed", 2),
        ("processing", 5),
    ]
    assert stretches[-1].x + stretches[-1].width == pytest.approx(1000)


def test_life_of_a_waiting_job_reaches_to_now() -> None:
    asked = at(0, Enqueued(command="x", max_retries=1, backoff_base=2.0))
    assert life([asked], 7_000_000)[0].spent_us == 7_000_000


def test_clock_set_back_makes_no_negative_stretch() -> None:
    asked = at(10, Enqueued(command="x", max_retries=1, backoff_base=2.0))
    stretches = life([asked, at(4, Claimed(attempt=1, worker="w", slot=1))], 5_000_000)
    assert [(one.state, one.width) for one in stretches] == [("processing", 1000)]
