"""Compute the numbers of SVG charts: the throughput, and the states of a job over time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from eventstore.events.recorded import Recorded
from projections.folds import job as job_fold
from projections.folds.job import FINAL, Job, State
from projections.read_models.throughput import MINUTE_US, Step

FAR_ABOVE = 4
"""A bar is cut off if it is more than this many times as high as the usual bar."""
_NICE = (1, 2, 5)


class Span(NamedTuple):
    """A length of time that a chart shows."""

    name: str
    bars: int
    """The number of bars."""
    minutes: int
    """The minutes that each bar covers."""
    marks: tuple[str, ...]
    """Labels of the axis, oldest first."""

    @property
    def step(self) -> str:
        """The time that a bar covers, in words: `minute`, `15 minutes`."""
        if self.minutes == 1:
            return "minute"
        return f"{self.minutes} minutes" if self.minutes < 60 else f"{self.minutes // 60} hours"


SPANS = {
    "hour": Span("hour", 60, 1, ("60 min ago", "45", "30", "15", "now")),
    "day": Span("day", 96, 15, ("24 h ago", "18", "12", "6", "now")),
    "week": Span("week", 84, 120, ("7 days ago", "5", "3", "1", "now")),
}


class ChartBar(NamedTuple):
    """One step of the span. The heights are percentages of the chart's height."""

    step: Step
    x: float
    """The left edge, in a picture that is 600 wide."""
    succeeded: float
    failed: float
    enqueued: float


class Scale(NamedTuple):
    """The number at the top of a chart."""

    top: int
    cut: Step | None
    """The highest of the bars that are cut off at `top`; None if no bar is cut off."""


class Chart(NamedTuple):
    """Attempts that ended and jobs that were enqueued, each on its own scale."""

    span: Span
    bars: list[ChartBar]
    width: float
    """The width of a bar, in a picture that is 600 wide."""
    ended: Scale
    enqueued: Scale
    sums: Step
    """The sums of all steps; its time is that of the first step."""


def throughput(span: Span, known: Sequence[Step], now_us: int) -> Chart:
    """Return the chart of `span`; its last bar contains `now_us` (UTC, microseconds).

    known: the steps in which something happened, oldest first.
    """
    step_us = span.minutes * MINUTE_US
    last = now_us // step_us
    by_number = {step.started_at_us // step_us: step for step in known}
    steps = [
        by_number.get(number, Step(number * step_us, 0, 0, 0))
        for number in range(last - span.bars + 1, last + 1)
    ]
    ended = scale(steps, _ended)
    enqueued = scale(steps, lambda step: step.enqueued)
    width = 600 / span.bars
    return Chart(
        span=span,
        bars=[_bar(step, index * width, ended, enqueued) for index, step in enumerate(steps)],
        width=width,
        ended=ended,
        enqueued=enqueued,
        sums=Step(
            steps[0].started_at_us,
            sum(step.enqueued for step in steps),
            sum(step.succeeded for step in steps),
            sum(step.failed for step in steps),
        ),
    )


def _ended(step: Step) -> int:
    return step.succeeded + step.failed


def scale(steps: Sequence[Step], height: Callable[[Step], int]) -> Scale:
    """Return a scale that cuts off a few bars that are far higher than the others.

    Otherwise the others would be too low to be seen. height: returns the number that a bar shows.
    """
    heights = sorted(number for step in steps if (number := height(step)))
    if not heights:
        return Scale(nice(0), None)
    usual = heights[max(0, len(heights) - 1 - len(heights) // 10)]
    if len(heights) > 1 and usual == heights[-1]:
        usual = heights[-2]
    if len(heights) == 1 or heights[-1] <= FAR_ABOVE * usual:
        return Scale(nice(heights[-1]), None)
    return Scale(nice(2 * usual), max(steps, key=height))


def _bar(step: Step, x: float, ended: Scale, enqueued: Scale) -> ChartBar:
    unit = 100 / ended.top
    succeeded = min(100.0, step.succeeded * unit)
    failed = step.failed * unit
    if succeeded + failed > 100:  # cut off: keep the failed part visible
        part = step.failed / _ended(step)
        succeeded, failed = 100 * (1 - part), 100 * part
    return ChartBar(step, x, succeeded, failed, min(100.0, step.enqueued * 100 / enqueued.top))


def nice(highest: int) -> int:
    """Return the first of 4, 10, 20, 50, 100 … that is at least `highest`."""
    power = 10
    while True:
        for step in _NICE:
            if (top := step * power) >= highest:
                return top if highest > 4 else 4
        power *= 10


class StatePeriod(NamedTuple):
    """A time that a job spent in one state. `x` and `width`: thousandths of its whole lifetime."""

    state: State
    x: float
    width: float
    spent_us: int


def life(events: Sequence[Recorded], now_us: int) -> list[StatePeriod]:
    """Return the states of a job from its first event on, up to its end or `now_us`."""
    job: Job | None = None
    periods: list[tuple[State, int, int]] = []
    for event, following in zip(events, [*events[1:], None], strict=True):
        job = job_fold.evolve(job, event)
        if job.state in FINAL and following is None:
            break
        end_us = now_us if following is None else following.recorded_at_us
        _add_period(periods, job.state, event.recorded_at_us, end_us)
    # A period must not be negative if the clock was set back.
    lengths = [max(0, end - start) for _, start, end in periods]
    total = sum(lengths) or 1
    parts, x = [], 0.0
    for (state, _, _), length in zip(periods, lengths, strict=True):
        width = length * 1000 / total
        parts.append(StatePeriod(state, x, width, length))
        x += width
    return parts


def _add_period(periods: list[tuple[State, int, int]], state: State, start: int, end: int) -> None:
    """Append a period, or extend the last one if it has the same state."""
    if periods and periods[-1][0] == state:
        periods[-1] = (state, periods[-1][1], end)
    elif end > start:
        periods.append((state, start, end))
