"""The geometry of the charts."""

import pytest

from eventstore.events.job import Claimed, Enqueued, Failed, Requeued, ScheduledRetry, Succeeded
from eventstore.events.recorded import Event, Recorded
from projections.read_models.throughput import MINUTE_US, Step
from queuectl.dashboard.charts import SPANS, Scale, life, nice, throughput

NOW_US = 1_000 * MINUTE_US + 30_000_000


def step(number: int, succeeded: int, failed: int = 0, enqueued: int | None = None) -> Step:
    """Return the numbers of a minute."""
    jobs = succeeded + failed if enqueued is None else enqueued
    return Step(number * MINUTE_US, jobs, succeeded, failed)


def at(second: float, event: Event) -> Recorded:
    """Return the event as recorded this many seconds after the epoch."""
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
def test_scale_ends_at_a_round_number(highest: int, top: int) -> None:
    assert nice(highest) == top


def test_an_hour_is_the_last_sixty_minutes() -> None:
    chart = throughput(SPANS["hour"], [step(941, 3), step(1_000, 6, 2)], NOW_US)
    assert len(chart.bars) == 60
    assert (chart.bars[0].step.succeeded, chart.bars[-1].step.succeeded) == (3, 6)
    assert (chart.ended, chart.enqueued) == (Scale(10, None), Scale(10, None))
    assert (chart.sums.succeeded, chart.sums.failed, chart.sums.enqueued) == (9, 2, 11)
    assert (chart.bars[-1].succeeded, chart.bars[-1].failed) == (60.0, 20.0)
    assert chart.bars[-1].enqueued == 80.0


@pytest.mark.parametrize(("name", "hours"), [("hour", 1), ("day", 24), ("week", 168)])
def test_a_span_is_as_long_as_its_name_says(name: str, hours: int) -> None:
    span = SPANS[name]
    assert span.bars * span.minutes == hours * 60
    chart = throughput(span, [], NOW_US)
    assert len(chart.bars) == span.bars
    assert 0 <= NOW_US - chart.bars[-1].step.started_at_us < span.minutes * MINUTE_US


def test_minute_before_the_hour_is_left_out() -> None:
    assert throughput(SPANS["hour"], [step(940, 9)], NOW_US).sums.succeeded == 0


def test_one_bulk_enqueue_does_not_flatten_the_chart() -> None:
    usual = [step(number, 7, 1, enqueued=8) for number in range(950, 1_000)]
    chart = throughput(SPANS["hour"], [*usual, step(1_000, 7, 1, enqueued=100_000)], NOW_US)
    assert chart.ended == Scale(10, None)
    assert chart.enqueued.top == 20
    assert chart.enqueued.cut is not None
    assert chart.enqueued.cut.enqueued == 100_000
    assert (chart.bars[-1].enqueued, chart.bars[-2].enqueued) == (100.0, 40.0)


def test_the_only_bar_is_not_cut_off() -> None:
    chart = throughput(SPANS["hour"], [step(1_000, 0, enqueued=100_000)], NOW_US)
    assert chart.enqueued == Scale(100_000, None)


def test_a_bar_far_above_the_only_other_is_cut_off() -> None:
    chart = throughput(SPANS["hour"], [step(999, 3), step(1_000, 900, 100)], NOW_US)
    assert chart.ended.top == 10
    assert (chart.bars[-1].succeeded, chart.bars[-1].failed) == (90.0, 10.0)


def test_bars_that_rise_evenly_are_not_cut_off() -> None:
    chart = throughput(SPANS["hour"], [step(950 + n, n) for n in range(51)], NOW_US)
    assert chart.ended == Scale(50, None)


def test_each_state_of_a_job_is_as_wide_as_it_lasted() -> None:
    periods = life(
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
    assert [(period.state, period.spent_us / 1e6) for period in periods] == [
        ("pending", 1),
        ("processing", 2),
        ("failed", 2),
        ("processing", 5),
    ]
    assert periods[-1].x + periods[-1].width == pytest.approx(1000)


def test_the_last_state_of_an_unfinished_job_lasts_until_now() -> None:
    enqueued = at(0, Enqueued(command="x", max_retries=1, backoff_base=2.0))
    assert life([enqueued], 7_000_000)[0].spent_us == 7_000_000


def test_clock_set_back_makes_no_negative_period() -> None:
    enqueued = at(10, Enqueued(command="x", max_retries=1, backoff_base=2.0))
    periods = life([enqueued, at(4, Claimed(attempt=1, worker="w", slot=1))], 5_000_000)
    assert [(period.state, period.width) for period in periods] == [("processing", 1000)]
