"""Machines with clocks of different rates, and links that are cut: attempts never overlap."""

import pytest

from tests.simulation.machines import CountsThroughGaps, Machines, Rules, Worker
from tests.torture.machines import MACHINES
from tests.torture.proof import assert_holds


@pytest.mark.sampled
def test_attempts_on_several_machines_never_overlap() -> None:
    assert_holds(MACHINES)


def test_workers_are_taken_over_in_the_simulation() -> None:
    assert sum(Machines(seed).run().takeovers for seed in range(10)) > 0


def test_frozen_attempts_go_on_in_the_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    thawed, confirmed = [], Worker.confirmed

    def noting(worker: Worker, sent_us: int) -> None:
        was_frozen = worker.frozen_us is not None
        confirmed(worker, sent_us)
        thawed.extend([worker.id] * (was_frozen and worker.frozen_us is None))

    monkeypatch.setattr(Worker, "confirmed", noting)
    for seed in range(10):
        Machines(seed).run()
    assert thawed


@pytest.mark.proof
@pytest.mark.parametrize(
    "rules",
    [
        Rules(deadline_from="answered"),
        Rules(new_watch=CountsThroughGaps),
        Rules(thaws_after="link"),
    ],
)
def test_a_broken_rule_of_leases_is_found(rules: Rules) -> None:
    assert any(Machines(seed, rules).run().findings for seed in range(3_000))
