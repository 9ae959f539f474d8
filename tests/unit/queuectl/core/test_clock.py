"""The machine's clock."""

from unittest.mock import patch

import pytest

from queuectl.core.clock import SystemClock
from queuectl.errors import NoSuchTime


def test_time_beyond_64_bits_is_reported() -> None:
    with (
        patch("time.time_ns", side_effect=OverflowError("timestamp too large")),
        pytest.raises(NoSuchTime, match="beyond the year 2262"),
    ):
        SystemClock().wall_us()
