"""Simulated runs: lives of several workers from a seed; every invariant is looked at."""

import os
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.world import World
from tests.torture.proof import Proof, Tally

STEPS = 200
SHARE = 250
"""Runs that one process does before it takes the next share."""


def lived(seed: int, steps: int = STEPS) -> str | None:
    """What the run of this seed has broken; None where all holds."""
    world = World(seed, workers=2 + seed % 2)
    try:
        world.run(steps)
        world.check()
    except AssertionError as error:
        return str(error) or "an assertion of the program's own"
    finally:
        world.close()
    return None


def shrunk(seed: int) -> str:
    """The finding of a seed with the fewest steps after which it shows."""
    for steps in range(1, STEPS + 1):
        if told := lived(seed, steps):
            return f"seed {seed}, {steps} steps: {told}"
    return f"seed {seed}: only sometimes"


def share(first: int, amount: int) -> list[str]:
    """What the runs of some seeds in a row have found."""
    return [shrunk(seed) for seed in range(first, first + amount) if lived(seed)]


def simulate(amount: int, seed: int) -> Tally:
    """So many runs; many of them on all processors."""
    if amount <= SHARE:
        return Tally(amount, share(seed, amount))
    firsts = range(seed, seed + amount, SHARE)
    amounts = [min(SHARE, seed + amount - first) for first in firsts]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(share, firsts, amounts))
    return Tally(amount, [line for lines in found for line in lines], f"{STEPS} steps and a drain")


SIMULATION = Proof(
    name="simulation",
    promise="workers, clients and clocks fail between any two steps: every invariant holds",
    unit="runs",
    in_test=40,
    in_prove=1_000,
    in_torture=100_000,
    run=simulate,
)
