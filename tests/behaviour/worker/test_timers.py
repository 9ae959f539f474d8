"""The alarm, with the real scheduler."""

import select
import time
from collections.abc import Iterator

import pytest

from queuectl.worker.timers import Timers
from tests.ctl import DEADLINE_S, UNPOLLED_S


@pytest.fixture
def timers() -> Iterator[Timers]:
    with Timers() as made:
        yield made


def now_us() -> int:
    return time.time_ns() // 1000


def goes_off(timers: Timers, within_s: float) -> bool:
    ready, _, _ = select.select([timers], [], [], within_s)
    if ready:
        timers.take()
    return bool(ready)


def test_alarm_goes_off_at_its_time(timers: Timers) -> None:
    due = now_us() + 100_000
    timers.arm(due, now_us())
    assert goes_off(timers, DEADLINE_S)
    assert due <= now_us() < due + UNPOLLED_S * 1e6
    assert not goes_off(timers, 0)


def test_alarm_that_is_long_past_goes_off_at_once(timers: Timers) -> None:
    timers.arm(now_us() - 3_600_000_000, now_us())
    assert goes_off(timers, DEADLINE_S)


def test_earlier_alarm_replaces_a_later_one(timers: Timers) -> None:
    timers.arm(now_us() + 3_600_000_000, now_us())
    timers.arm(now_us() + 50_000, now_us())
    assert goes_off(timers, DEADLINE_S)


def test_disarmed_alarm_stays_silent(timers: Timers) -> None:
    for delay_us in (50_000, 500_000, 5_000_000):  # the first that is long enough to disarm it
        due_us = now_us() + delay_us
        timers.arm(due_us, now_us())
        timers.arm(None, now_us())
        if now_us() < due_us:
            break
        goes_off(timers, 0)
    assert not goes_off(timers, delay_us / 1e6 + 0.1)


def test_same_time_can_be_armed_again_after_it_went_off(timers: Timers) -> None:
    due = now_us()
    for _ in range(2):
        timers.arm(due, now_us())
        assert goes_off(timers, DEADLINE_S)


def test_alarm_beyond_the_calendar_does_not_go_off(timers: Timers) -> None:
    timers.arm(2**62, now_us())
    assert not goes_off(timers, 0)


def test_own_retries_are_due_by_the_monotonic_clock(timers: Timers) -> None:
    timers.add_retry("2", due_at_us=900, at_us=20)
    timers.add_retry("1", due_at_us=500, at_us=10)
    assert timers.next_retry() == 10
    assert [retry.job_id for retry in timers.due_retries(15)] == ["1"]
    assert [(retry.job_id, retry.due_at_us) for retry in timers.due_retries(99)] == [("2", 900)]
    assert timers.next_retry() is None


def test_alarm_follows_the_clock_of_the_store(timers: Timers) -> None:
    in_an_hour = now_us() + 3_600_000_000
    timers.arm(in_an_hour + 100_000, in_an_hour)
    assert goes_off(timers, DEADLINE_S)
