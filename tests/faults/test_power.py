"""Power cuts: no acknowledged event is lost, unless SQLite is set to sync less."""

import pytest

from tests.torture.power import POWER, controls
from tests.torture.proof import assert_holds


@pytest.mark.sampled
def test_power_cut_loses_no_acknowledged_event() -> None:
    assert_holds(POWER)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("mode", "lost"), [("NORMAL", "was acknowledged"), ("OFF", "is malformed")]
)
def test_power_cut_with_less_syncing_loses_data(mode: str, lost: str) -> None:
    tally = controls(mode, 1_000)
    assert sum(lost in line for line in tally.findings) > 100
