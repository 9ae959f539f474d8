"""`make torture`: each proof in an amount that leaves little doubt, as a table."""

import argparse
import sys

from .proof import Proof, tried
from .proofs import PROOFS


def main() -> int:
    """Run the proofs named, or all; 1 where a promise was broken."""
    asked = _arguments()
    broken = 0
    print("| proof | tried | found | seconds | |\n|---|---|---|---|---|", flush=True)
    for proof in PROOFS:
        if not asked.only or proof.name in asked.only:
            broken += _row(proof, asked.amount or proof.in_torture, asked.seed)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    names = [proof.name for proof in PROOFS]
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=names, help="these alone")
    parser.add_argument("--amount", type=int, help="so many of each instead")
    parser.add_argument("--seed", type=int, default=0, help="another seed tries other things")
    return parser.parse_args()


def _row(proof: Proof, amount: int, seed: int) -> int:
    """Print what a proof found as a line of the table, and all findings on stderr."""
    tally, seconds = tried(proof, amount, seed)
    cells = (
        proof.promise,
        f"{tally.done:,} {proof.unit}",
        f"{len(tally.found)}",
        f"{seconds:.0f}",
        tally.note,
    )
    print("| " + " | ".join(cells) + " |", flush=True)
    for line in tally.found:
        print(f"{proof.name}: {line}", file=sys.stderr, flush=True)
    return len(tally.found)


if __name__ == "__main__":
    sys.exit(main())
