"""Pictures drawn by the server: the last hour's throughput, and a job's life."""

from collections.abc import Sequence
from typing import NamedTuple

from eventstore.events.recorded import Recorded
from projections.folds import job as job_fold
from projections.folds.job import FINAL, Job, State
from projections.read_models.throughput import MINUTE_US, Minute

MINUTES = 60
_NICE = (1, 2, 5)


class Bar(NamedTuple):
    """One minute. Heights are parts of `Chart.top`, 0 to 100; `enqueued` counts down from it."""

    minute: Minute
    x: int
    succeeded: float
    failed: float
    enqueued: float


class Chart(NamedTuple):
    """The last hour, oldest minute first."""

    bars: list[Bar]
    top: int
    """What the full height stands for."""
    enqueued: int
    succeeded: int
    failed: int


def throughput(minutes: Sequence[Minute], now_us: int) -> Chart:
    """The sixty minutes that end with the one of `now_us`."""
    last = now_us // MINUTE_US
    known = {minute.started_at_us // MINUTE_US: minute for minute in minutes}
    hour = [
        known.get(number, Minute(number * MINUTE_US, 0, 0, 0, 0, 0, 0, 0))
        for number in range(last - MINUTES + 1, last + 1)
    ]
    highest = max(max(one.enqueued, one.succeeded + one.failed) for one in hour)
    top = nice(highest)
    return Chart(
        bars=[_bar(one, index, top) for index, one in enumerate(hour)],
        top=top,
        enqueued=sum(one.enqueued for one in hour),
        succeeded=sum(one.succeeded for one in hour),
        failed=sum(one.failed for one in hour),
    )


def _bar(minute: Minute, index: int, top: int) -> Bar:
    scale = 100 / top
    return Bar(
        minute,
        index * 10,
        minute.succeeded * scale,
        minute.failed * scale,
        100 - minute.enqueued * scale,
    )


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
