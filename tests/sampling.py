"""Parameters of which `make test` takes the first ones, and `make prove` the others."""

from collections.abc import Iterable

import pytest


def first_of(values: Iterable[object], amount: int = 1) -> list[object]:
    """Return the values as parameters; those after the first `amount` count as proofs."""
    kept, others = (listed := [*values])[:amount], listed[amount:]
    return [*kept, *(pytest.param(value, marks=pytest.mark.proof) for value in others)]
