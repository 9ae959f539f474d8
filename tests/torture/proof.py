"""The common parts of all proofs: an amount, a seed, and a list of findings."""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

PROVE = "QUEUECTL_TESTS_PROVE"
"""The variable that `pytest --prove` sets, for its worker processes too."""


class Tally(NamedTuple):
    """The outcome of a proof."""

    done: int
    """How many of its units were tried."""
    findings: list[str]
    """Broken guarantees, one line each, with all data to reproduce it. Should be empty."""
    note: str = ""
    """An additional figure for the table, such as how many controls failed."""


class Proof(NamedTuple):
    """A guarantee that can be tested any number of times."""

    name: str
    """The name for `make torture ONLY=name`."""
    guarantee: str
    """The guarantee in one sentence."""
    unit: str
    """The unit that is counted: `images`, `rounds`, `runs`."""
    in_test: int
    """How many `make test` runs, which takes seconds."""
    in_prove: int
    """How many `make prove` runs, and so CI for every change."""
    in_torture: int
    """How many `make torture` runs."""
    run: Callable[[int, int], Tally]
    """Run it: takes an amount and a seed, returns the findings. The seed determines the cases."""


def tried(proof: Proof, amount: int, seed: int = 0) -> tuple[Tally, float]:
    """Run a proof. Return its outcome, and the seconds that it took."""
    began = time.monotonic()
    tally = proof.run(amount, seed)
    return tally, time.monotonic() - began


def amount(proof: Proof) -> int:
    """Return the amount in a test: the full one with `pytest --prove`, otherwise a sample."""
    return proof.in_prove if os.environ.get(PROVE) else proof.in_test


def assert_holds(proof: Proof, seed: int = 0) -> None:
    """Assert, in a test, that the guarantee holds in `amount(proof)` cases."""
    required = amount(proof)
    tally, _ = tried(proof, required, seed)
    assert tally.done >= required
    assert not tally.findings, "\n".join(tally.findings[:20])
