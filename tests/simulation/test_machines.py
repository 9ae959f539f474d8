"""Machines with clocks of different rates, and links that are cut: attempts never overlap."""

import pytest

from tests.simulation.machines import CountsThroughGaps, Machines, Rules
from tests.torture.machines import MACHINES
from tests.torture.proof import assert_holds


@pytest.mark.sampled
def test_attempts_on_several_machines_never_overlap() -> None:
    assert_holds(MACHINES)


def test_workers_are_taken_over_in_the_simulation() -> None:
    assert sum(Machines(seed).run().takeovers for seed in range(10)) > 0


@pytest.mark.proof
@pytest.mark.parametrize(
    "rules", [Rules(deadline_from="answered"), Rules(new_watch=CountsThroughGaps)]
)
def test_a_broken_rule_of_leases_is_found(rules: Rules) -> None:
    assert any(Machines(seed, rules).run().findings for seed in range(3_000))
