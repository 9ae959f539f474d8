"""When a supervisor writes, for which slots, and when it wakes up. Pure: values in, values out.

A transaction costs more than a short job, so results wait for a moment and are recorded together,
with the claims of the next jobs. The supervisor reports what happened, asks for the next step, and
carries it out. Times are microseconds of the monotonic clock and are passed in.
"""

from typing import NamedTuple

LOOK_AGAIN_US = 30_000_000
"""How long to rely on being woken: clocks step, machines sleep, and a writer may die unheard."""
RESULT_WAITS_US = 20_000
"""Longest that a result waits to be recorded while prefetched jobs run."""
TRY_AGAIN_US = 1_000_000
"""Between two tries if the disk is full, and between the first two if a launch was refused."""
TRY_LOCK_AGAIN_US = 100_000
LOCKED_TOO_LONG = 4
"""Tries, of half a second each, after which to name the process that has held the lock since."""


class Facts(NamedTuple):
    """The situation of a supervisor at one moment."""

    now_us: int
    committing: bool
    """Whether a commit runs. Its end wakes the loop; until then nothing else is written."""
    unrecorded: bool
    """Whether results or other changes wait to be recorded."""
    due: bool
    """Whether delayed jobs or retries have fallen due."""
    ready: bool
    """Whether the log may have jobs to claim."""
    free: bool
    """Whether a slot is free."""
    stopping: bool
    prefetched_until_us: int | None
    """When prefetched claims are to be released; None if there are none."""
    scarce: bool
    """Whether they may run out while the next ones are being committed."""
    next_event_us: int | None
    """The next thing that happens by itself: a timeout, a retry, the end of a grace."""


class WriteNow(NamedTuple):
    """Run a transaction now."""

    claim: bool
    """Claim jobs for the free slots, and prefetch."""
    release_expired: bool
    """Release prefetched claims that found no slot in time; other workers may have one."""


class WaitUntil(NamedTuple):
    """Wait for something to happen."""

    until_us: int


NextStep = WriteNow | WaitUntil


class Pace:
    """The deadlines that follow from what happened before."""

    def __init__(self) -> None:
        self._look_at_us = 0
        self._record_by_us = 0
        self._write_again_us = 0
        """When to repeat a write that was refused; 0 if none was."""
        self._claim_again_us = 0
        self._claim_pause_us = TRY_AGAIN_US
        """How long to claim nothing if the next launch is refused."""
        self._locked_by, self._refusals = "", 0

    def next_step(self, facts: Facts) -> NextStep:
        """Return what to do now."""
        if facts.committing:
            return WaitUntil(_earliest(facts.next_event_us, facts.now_us + LOOK_AGAIN_US))
        latest_us = _earliest(facts.next_event_us, self._look_at_us)
        if facts.now_us < self._write_again_us:
            return WaitUntil(min(latest_us, self._write_again_us))
        if facts.now_us < (record_at_us := self._record_at_us(facts)):
            return WaitUntil(min(latest_us, record_at_us))
        until_us = facts.prefetched_until_us
        expired = until_us is not None and facts.now_us >= until_us
        # After a refused write the results come first, without further claims.
        claim = not (expired or facts.stopping or self._write_again_us)
        may_claim = claim and facts.now_us >= self._claim_again_us
        wants_claims = facts.ready and facts.free
        if facts.unrecorded or facts.due or expired or (may_claim and wants_claims):
            return WriteNow(claim=may_claim, release_expired=expired)
        return WaitUntil(
            min(latest_us, self._claim_again_us) if claim and wants_claims else latest_us
        )

    def look_is_due(self, now_us: int) -> bool:
        """Return whether to read the log although nobody announced a change; then note it."""
        if now_us < self._look_at_us:
            return False
        self._look_at_us = now_us + LOOK_AGAIN_US
        return True

    def first_result(self, now_us: int) -> None:
        """Note that a result waits to be recorded, and no other one."""
        self._record_by_us = now_us + RESULT_WAITS_US

    def written(self) -> None:
        """Note that a transaction was committed."""
        self._write_again_us = self._refusals = 0

    def disk_full(self, now_us: int) -> None:
        """Note that a transaction found no room."""
        self._write_again_us = now_us + TRY_AGAIN_US

    def locked(self, now_us: int, holder: str) -> bool:
        """Note that `holder` kept others from writing. Return whether to report it, true once.

        Many short transactions of others are a crowd, in which no process is to blame.
        """
        self._write_again_us = now_us + TRY_LOCK_AGAIN_US
        self._refusals = self._refusals + 1 if holder == self._locked_by else 1
        self._locked_by = holder
        return self._refusals == LOCKED_TOO_LONG

    def launched(self) -> None:
        """Note that the machine started a process."""
        self._claim_pause_us = TRY_AGAIN_US

    def launch_refused(self, now_us: int) -> None:
        """Note that the machine refused one: claim nothing for 1, 2, 4 … 30 seconds.

        Each try is in the log, as a claim and its release.
        """
        self._claim_again_us = now_us + self._claim_pause_us
        self._claim_pause_us = min(2 * self._claim_pause_us, LOOK_AGAIN_US)

    def _record_at_us(self, facts: Facts) -> int:
        """When to write, as long as prefetched jobs keep the slots busy; else now."""
        if facts.prefetched_until_us is None or (facts.unrecorded and facts.scarce):
            return 0
        if not facts.unrecorded:
            return facts.prefetched_until_us
        return min(facts.prefetched_until_us, self._record_by_us)


def _earliest(event_us: int | None, at_us: int) -> int:
    return at_us if event_us is None else min(event_us, at_us)
