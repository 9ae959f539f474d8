"""Durations in words: the same everywhere, in the notation that can be typed."""

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from queuectl.text.durations import LONGEST_US, age, duration, duration_us, exact_duration


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0s"),
        (1, "0ms"),
        (400, "0.4ms"),
        (5_000, "5ms"),
        (9_949, "9.9ms"),
        (9_950, "10ms"),
        (999_499, "999ms"),
        (999_500, "1s"),
        (2_340_000, "2.3s"),
        (38_000_000, "38s"),
        (59_949_999, "59.9s"),
        (59_950_000, "1m"),
        (72_000_000, "1m12s"),
        (3_600_000_000, "1h"),
        (273_600_000_000, "3d4h"),
        (275_700_000_000, "3d5h"),
        (-2_000_000, "2s"),
    ],
)
def test_a_duration_has_two_units_at_most(us: int, words: str) -> None:
    assert duration(us) == words


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0s"),
        (499_999, "0s"),
        (500_000, "1s"),
        (42_400_000, "42s"),
        (59_499_999, "59s"),
        (59_500_000, "1m"),
        (90_000_000, "1m30s"),
        (3_599_400_000, "59m59s"),
        (3_599_999_000, "1h"),
        (7_199_000_000, "2h"),
        (7_140_000_000, "1h59m"),
        (84_600_000_000, "23h30m"),
        (86_390_000_000, "1d"),
        (169_200_000_000, "1d23h"),
        (172_800_000_000, "2d"),
        (-90_000_000, "1m30s"),
    ],
)
def test_an_age_has_two_units_and_is_rounded_to_the_smaller(us: int, words: str) -> None:
    assert age(us) == words


@given(integers(1_000, LONGEST_US))
def test_a_formatted_duration_can_be_parsed_again(us: int) -> None:
    assert duration_us(duration(us)) == pytest.approx(us, rel=0.06)
    assert duration_us(exact_duration(us)) == us
