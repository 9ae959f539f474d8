"""What all proofs have in common: an amount, a seed, and what was found."""

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
    found: list[str]
    """What broke a promise, a line each, with all it takes to see it again. Should be empty."""
    note: str = ""
    """A figure worth telling beside, such as how many of the controls failed."""


class Proof(NamedTuple):
    """A promise that can be tried any number of times."""

    name: str
    """As `make torture ONLY=name` takes it."""
    promise: str
    """What is held, in one sentence."""
    unit: str
    """What is counted: `images`, `rounds`, `runs`."""
    in_test: int
    """How many `make test` tries, in seconds."""
    in_prove: int
    """How many `make prove` tries, and so CI for every change."""
    in_torture: int
    """How many `make torture` tries."""
    run: Callable[[int, int], Tally]
    """From an amount and a seed to what was found. The same seed tries the same."""


def tried(proof: Proof, amount: int, seed: int = 0) -> tuple[Tally, float]:
    """Run a proof. Returns what was found, and the seconds it took."""
    began = time.monotonic()
    tally = proof.run(amount, seed)
    return tally, time.monotonic() - began


def amount(proof: Proof) -> int:
    """How many tries a test makes: the full amount under `pytest --prove`, else a sample."""
    return proof.in_prove if os.environ.get(PROVE) else proof.in_test


def assert_kept(proof: Proof, seed: int = 0) -> None:
    """For the tests: the promise is kept in as many tries as there is time for."""
    wanted = amount(proof)
    tally, _ = tried(proof, wanted, seed)
    assert tally.done >= wanted
    assert not tally.found, "\n".join(tally.found[:20])
