"""The delay before a retry."""

from hypothesis import given
from hypothesis import strategies as st

from queuectl.core.backoff import Backoff, delay_us

HOUR_US = 3_600_000_000


def test_delay_is_base_to_the_power_of_retry_in_seconds() -> None:
    policy = Backoff(2.0, HOUR_US, 0.0)
    assert [delay_us(k, policy, 0.9) for k in (1, 2, 3)] == [2_000_000, 4_000_000, 8_000_000]


@given(
    st.integers(1, 10**6),
    st.floats(0, 1000),
    st.integers(0, 2**62),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_delay_is_between_zero_and_the_cap(
    retry: int, base: float, cap_us: int, jitter: float, drawn: float
) -> None:
    assert 0 <= delay_us(retry, Backoff(base, cap_us, jitter), drawn) <= max(cap_us, 1) * 1.0001
