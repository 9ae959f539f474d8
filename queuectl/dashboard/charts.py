"""Charts as numbers for SVG: the throughput of an hour, a day or a week, and a job's life."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from eventstore.events.recorded import Recorded
from projections.folds import job as job_fold
from projections.folds.job import FINAL, Job, State
from projections.read_models.throughput import MINUTE_US, Step

FAR_ABOVE = 4
"""How many times as high as the usual a bar may be before it is cut off."""
_NICE = (1, 2, 5)


class Span(NamedTuple):
    """A length of time that is drawn, and the minutes that each of its bars stands for."""

    name: str
    bars: int
    minutes: int
    marks: tuple[str, ...]
    """Along the axis, oldest first."""

    @property
    def step(self) -> str:
        """What a bar stands for: `minute`, `15 minutes`."""
        if self.minutes == 1:
            return "minute"
        return f"{self.minutes} minutes" if self.minutes < 60 else f"{self.minutes // 60} hours"


SPANS = {
    "hour": Span("hour", 60, 1, ("60 min ago", "45", "30", "15", "now")),
    "day": Span("day", 96, 15, ("24 h ago", "18", "12", "6", "now")),
    "week": Span("week", 84, 120, ("7 days ago", "5", "3", "1", "now")),
}


class Bar(NamedTuple):
    """One step of the span. Heights are parts of the scale, 0 to 100."""

    step: Step
    x: float
    succeeded: float
    failed: float
    enqueued: float


class Scale(NamedTuple):
    """What the full height of a chart stands for."""

    top: int
    cut: Step | None
    """The highest of the bars that are cut off at `top`; null if none is."""


class Chart(NamedTuple):
    """Attempts that ended, and jobs that were enqueued, each on a scale of its own."""

    span: Span
    bars: list[Bar]
    width: float
    """Of a bar, in a picture 600 wide."""
    ended: Scale
    enqueued: Scale
    sums: Step


def throughput(span: Span, known: Sequence[Step], now_us: int) -> Chart:
    """The bars of `span`, the last of which is that of `now_us`."""
    step_us = span.minutes * MINUTE_US
    last = now_us // step_us
    at = {step.started_at_us // step_us: step for step in known}
    steps = [
        at.get(number, Step(number * step_us, 0, 0, 0))
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
    """A scale that a few bars far above all others do not flatten: those are cut off."""
    heights = sorted(number for step in steps if (number := height(step)))
    if not heights:
        return Scale(nice(0), None)
    usual = heights[max(0, len(heights) - 1 - len(heights) // 10)]
    if len(heights) > 1 and usual == heights[-1]:
        usual = heights[-2]
    if len(heights) == 1 or heights[-1] <= FAR_ABOVE * usual:
        return Scale(nice(heights[-1]), None)
    return Scale(nice(2 * usual), max(steps, key=height))


def _bar(step: Step, x: float, ended: Scale, enqueued: Scale) -> Bar:
    unit = 100 / ended.top
    succeeded = min(100.0, step.succeeded * unit)
    failed = step.failed * unit
    if succeeded + failed > 100:  # cut off: what failed stays in sight
        part = step.failed / _ended(step)
        succeeded, failed = 100 * (1 - part), 100 * part
    return Bar(step, x, succeeded, failed, min(100.0, step.enqueued * 100 / enqueued.top))


def nice(highest: int) -> int:
    """The next of 4, 10, 20, 50, 100 … at or above `highest`: a scale that people can read."""
    power = 10
    while True:
        for step in _NICE:
            if (top := step * power) >= highest:
                return top if highest > 4 else 4
        power *= 10


class Stretch(NamedTuple):
    """A time spent in one state. `x` and `width` in thousandths of the whole life."""

    state: State
    x: float
    width: float
    spent_us: int


def life(events: Sequence[Recorded], now_us: int) -> list[Stretch]:
    """The states of a job, from its first event on, each as long as it lasted."""
    job: Job | None = None
    spans: list[tuple[State, int, int]] = []
    for one, after in zip(events, [*events[1:], None], strict=True):
        job = job_fold.evolve(job, one)
        if job.state in FINAL and after is None:
            break
        end_us = now_us if after is None else after.recorded_at_us
        _prolong(spans, job.state, one.recorded_at_us, end_us)
    # A clock that was set back must not make a stretch negative.
    lengths = [max(0, end - start) for _, start, end in spans]
    whole = sum(lengths) or 1
    stretches, x = [], 0.0
    for (state, _, _), length in zip(spans, lengths, strict=True):
        width = length * 1000 / whole
        stretches.append(Stretch(state, x, width, length))
        x += width
    return stretches


def _prolong(spans: list[tuple[State, int, int]], state: State, start: int, end: int) -> None:
    if spans and spans[-1][0] == state:
        spans[-1] = (state, spans[-1][1], end)
    elif end > start:
        spans.append((state, start, end))
