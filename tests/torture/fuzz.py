"""Fuzzing: whatever comes in is taken or refused in words; no traceback, no hang, no change."""

import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from random import Random
from types import FrameType

from .faces import faces
from .proof import Proof, Tally
from .targets import PURE, Target

HANG_S = 10.0
"""Of processor time, for one input: a thousand times what the slowest takes."""
SHOWN = 300
"""Characters of an input in a finding."""


class Hung(BaseException):
    """An input took longer than any should."""


def run(amount: int, seed: int) -> Tally:
    """Try `amount` inputs, spread over all targets."""
    with faces() as both:
        targets = (
            *PURE,
            Target("command line", 13, both.command_line),
            Target("dashboard", 7, both.dashboard),
        )
        return tried(targets, amount, seed)


def tried(targets: Sequence[Target], amount: int, seed: int) -> Tally:
    """Try `amount` inputs on these, by their shares."""
    found: list[str] = []
    counted = dict.fromkeys((one.name for one in targets), 0)
    with _watched():
        for step, target in zip(range(amount), _in_turn(targets), strict=False):
            counted[target.name] += 1
            if broken := _one(target, seed, step):
                found.append(f"{target.name} --seed {seed} step {step}: {broken}")
    note = ", ".join(f"{name} {number:,}" for name, number in counted.items())
    return Tally(amount, found, note)


def _in_turn(targets: Sequence[Target]) -> Iterator[Target]:
    """Each as often in a hundred as its share says, well mixed."""
    hundred = [one for one in targets for _ in range(one.share)]
    Random(0).shuffle(hundred)
    return cycle(hundred)


def _one(target: Target, seed: int, step: int) -> str | None:
    """What broke a promise; each step draws from a seed of its own, so it can be tried alone."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        given, broken = target.attempt(Random(f"{target.name} {seed} {step}"))
    except Hung:
        return f"hangs: {traceback.format_exc(limit=-3)}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"raises {error!r:.{SHOWN}}: {traceback.format_exc(limit=-3)}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None if broken is None else f"{broken}: {given!r:.{SHOWN}}"


@contextmanager
def _watched() -> Iterator[None]:
    """While inputs are tried, the processor time of each is limited."""

    def hung(_: int, __: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGVTALRM, hung)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


FUZZ = Proof(
    name="fuzz",
    promise="whatever comes in is taken, or refused in words: no traceback, no hang, no change",
    unit="inputs",
    in_test=1_000,
    in_prove=20_000,
    in_torture=2_000_000,
    run=run,
)
