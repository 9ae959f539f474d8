"""`make torture`: run each proof in a large amount and print a table."""

import argparse
import sys

from tests.signals import reset_signals

from .proof import Proof, tried
from .proofs import PROOFS


def main() -> int:
    """Run the named proofs, or all. Return 1 if a guarantee was broken."""
    options = _arguments()
    reset_signals()
    broken = 0
    print("| guarantee | tried | findings | seconds | |\n|---|---|---|---|---|", flush=True)
    for proof in PROOFS:
        if not options.only or proof.name in options.only:
            broken += _row(proof, options.amount or proof.in_torture, options.seed)
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    names = [proof.name for proof in PROOFS]
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=names, help="run only these")
    parser.add_argument("--amount", type=int, help="run so many of each")
    parser.add_argument("--seed", type=int, default=0, help="the random seed")
    return parser.parse_args()


def _row(proof: Proof, amount: int, seed: int) -> int:
    """Run a proof; print a row of the table, and its findings on stderr."""
    tally, seconds = tried(proof, amount, seed)
    cells = (
        proof.guarantee,
        f"{tally.done:,} {proof.unit}",
        f"{len(tally.findings)}",
        f"{seconds:.0f}",
        tally.note,
    )
    print("| " + " | ".join(cells) + " |", flush=True)
    for line in tally.findings:
        print(f"{proof.name}: {line}", file=sys.stderr, flush=True)
    return len(tally.findings)


if __name__ == "__main__":
    sys.exit(main())
