"""Simulated machines that share a queue on a server, each from a seed: attempts never overlap."""

import os
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.machines import Machines
from tests.torture.proof import Proof, Tally

SHARE = 250
"""Number of runs that a process takes at once."""


def share(first: int, amount: int) -> list[str]:
    """Run `amount` seeds from `first` on; return their findings."""
    return [line for seed in range(first, first + amount) for line in Machines(seed).run().findings]


def simulate(amount: int, seed: int) -> Tally:
    """Run so many seeds; large amounts on all processors."""
    if amount <= SHARE:
        return Tally(amount, share(seed, amount))
    firsts = range(seed, seed + amount, SHARE)
    amounts = [min(SHARE, seed + amount - first) for first in firsts]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        shares = list(pool.map(share, firsts, amounts))
    return Tally(amount, [line for lines in shares for line in lines], "20 leases each")


MACHINES = Proof(
    name="machines",
    guarantee="links are cut, servers fail over, processes pause: attempts never overlap",
    unit="runs",
    in_test=40,
    in_prove=300,
    in_torture=100_000,
    run=simulate,
)
