"""Fuzzing: every input is accepted or refused with a message; no traceback, no hang."""

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
"""Processor time for one input: a thousand times that of the slowest."""
SHOWN = 300
"""The most characters of an input that a finding shows."""


class Hung(BaseException):
    """An input took longer than HANG_S."""


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
    """Try `amount` inputs on these targets, by their shares."""
    findings: list[str] = []
    counted = dict.fromkeys((target.name for target in targets), 0)
    with _watched():
        for step, target in zip(range(amount), _in_turn(targets), strict=False):
            counted[target.name] += 1
            if finding := _try(target, seed, step):
                findings.append(f"{target.name} --seed {seed} step {step}: {finding}")
    note = ", ".join(f"{name} {number:,}" for name, number in counted.items())
    return Tally(amount, findings, note)


def _in_turn(targets: Sequence[Target]) -> Iterator[Target]:
    """Yield each target as often in a hundred as its share, shuffled."""
    hundred = [target for target in targets for _ in range(target.share)]
    Random(0).shuffle(hundred)
    return cycle(hundred)


def _try(target: Target, seed: int, step: int) -> str | None:
    """Try one input; return the finding. Each step has its own seed, so it can be repeated."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        input_, broken = target.attempt(Random(f"{target.name} {seed} {step}"))
    except Hung:
        return f"hangs: {traceback.format_exc(limit=-3)}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"raises {error!r:.{SHOWN}}: {traceback.format_exc(limit=-3)}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None if broken is None else f"{broken}: {input_!r:.{SHOWN}}"


@contextmanager
def _watched() -> Iterator[None]:
    """Limit the processor time of each input while the block runs."""

    def hung(_: int, __: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGVTALRM, hung)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


FUZZ = Proof(
    name="fuzz",
    guarantee="every input is accepted or refused with a message: no traceback, hang or change",
    unit="inputs",
    in_test=1_000,
    in_prove=20_000,
    in_torture=2_000_000,
    run=run,
)
