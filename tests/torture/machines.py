"""Simulated machines that share a queue on a server, each from a seed: attempts never overlap."""

from tests.simulation.machines import Machines
from tests.torture.proof import Proof, Tally
from tests.torture.seeds import run_seeds


def share(first: int, amount: int) -> list[str]:
    """Run `amount` seeds from `first` on; return their findings."""
    return [line for seed in range(first, first + amount) for line in Machines(seed).run().findings]


def simulate(amount: int, seed: int) -> Tally:
    """Run so many seeds."""
    return run_seeds(share, amount, seed, "20 leases each")


MACHINES = Proof(
    name="machines",
    guarantee="links are cut, servers fail over, processes pause: attempts never overlap",
    unit="runs",
    in_test=40,
    in_prove=300,
    in_torture=100_000,
    run=simulate,
)
