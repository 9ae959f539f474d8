"""Running many seeds of a simulation, on all processors."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from .proof import Tally

SHARE = 250
"""Number of seeds that a process runs at once."""

Share = Callable[[int, int], list[str]]
"""Takes the first seed and an amount; returns the findings. Other processes can import it."""


def run_seeds(share: Share, amount: int, seed: int, note: str) -> Tally:
    """Run so many seeds from `seed` on; large amounts on all processors."""
    if amount <= SHARE:
        return Tally(amount, share(seed, amount))
    firsts = range(seed, seed + amount, SHARE)
    amounts = [min(SHARE, seed + amount - first) for first in firsts]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        shares = list(pool.map(share, firsts, amounts))
    return Tally(amount, [line for lines in shares for line in lines], note)
