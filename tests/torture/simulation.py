"""Simulated runs of several workers, each from a seed; every invariant is checked."""

from tests.simulation.world import World
from tests.torture.proof import Proof, Tally
from tests.torture.seeds import run_seeds

STEPS = 200


def lived(seed: int, steps: int = STEPS) -> str | None:
    """Run this seed; return the broken invariant, or None if all hold."""
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
    """Return the finding of a seed, with the fewest steps after which it appears."""
    for steps in range(1, STEPS + 1):
        if finding := lived(seed, steps):
            return f"seed {seed}, {steps} steps: {finding}"
    return f"seed {seed}: only sometimes"


def share(first: int, amount: int) -> list[str]:
    """Run `amount` seeds from `first` on; return their findings."""
    return [shrunk(seed) for seed in range(first, first + amount) if lived(seed)]


def simulate(amount: int, seed: int) -> Tally:
    """Run so many seeds."""
    return run_seeds(share, amount, seed, f"{STEPS} steps and a drain")


SIMULATION = Proof(
    name="simulation",
    guarantee="workers, clients and clocks fail between any two steps: every invariant holds",
    unit="runs",
    in_test=20,
    in_prove=1_000,
    in_torture=100_000,
    run=simulate,
)
