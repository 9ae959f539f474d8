"""The proofs with a PostgreSQL server, on its oldest and its newest installed version."""

from collections.abc import Callable
from importlib import import_module

from tests.postgres import installations

from .proof import Proof, Tally

Run = Callable[[str, int, int], Tally]
"""Takes the name of an installation, an amount and a seed."""


def on_oldest_and_newest(module: str, function: str) -> Callable[[int, int], Tally]:
    """Return what runs half of an amount on each. Without a server, nothing is tried."""

    def run(amount: int, seed: int) -> Tally:
        names = list(installations())
        if not names:
            return Tally(0, [], "no PostgreSQL server is installed")
        tallies = []
        implementation: Run = getattr(import_module(f"tests.torture.{module}"), function)
        for name, part in ((names[0], amount - amount // 2), (names[-1], amount // 2)):
            if part:
                tallies.append((name, implementation(name, part, seed)))
        return Tally(
            sum(tally.done for _, tally in tallies),
            [f"{name}: {finding}" for name, tally in tallies for finding in tally.findings],
            "; ".join(f"{name}: {tally.note}" for name, tally in tallies),
        )

    return run


CRASH = Proof(
    name="crash",
    guarantee="A crash of the server loses no acknowledged event",
    unit="crashes",
    in_test=2,
    in_prove=10,
    in_torture=100,
    run=on_oldest_and_newest("server_crash", "crashes"),
)

SETTLE = Proof(
    name="settle",
    guarantee="A connection that is lost inside COMMIT leaves no doubt",
    unit="cuts",
    in_test=40,
    in_prove=200,
    in_torture=1_000,
    run=on_oldest_and_newest("server_cuts", "cuts"),
)

FAILOVER = Proof(
    name="failover",
    guarantee="A failover with synchronous replication loses no acknowledged event",
    unit="failovers",
    in_test=0,
    in_prove=2,
    in_torture=20,
    run=on_oldest_and_newest("server_failover", "failovers"),
)
