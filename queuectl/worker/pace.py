"""When a supervisor writes, and when it wakes up. No clock and no I/O: the times are parameters.

A transaction costs more than a short job, so results wait for a moment and are recorded together,
with the claims of the next jobs. The supervisor reports what happened, calls `next_step`, and
carries out the step. `Pace` keeps only the deadlines that follow. Times are microseconds of the
monotonic clock.
"""

from typing import NamedTuple

LOOK_AGAIN_US = 30_000_000
"""How often to read the log even if nothing woke the loop.

Clocks are set, machines sleep, and a writer may die before it rings the doorbell.
"""
RESULT_WAITS_US = 20_000
"""The longest time for which a result waits to be recorded while prefetched jobs run."""
TRY_AGAIN_US = 1_000_000
"""Pause between two writes if the disk is full; also the first pause after a refused launch."""
TRY_LOCK_AGAIN_US = 100_000
"""Pause between two tries to write if another process holds the lock."""
LOCKED_TOO_LONG = 4
"""Report the process that holds the lock after this many tries of half a second each."""


class Facts(NamedTuple):
    """The situation of a supervisor at one moment."""

    now_us: int
    committing: bool
    """Whether a commit runs. Its end wakes the loop; before that, nothing else is written."""
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
    """Whether the prefetched claims may run out before the next ones are committed."""
    next_event_us: int | None
    """When the next timeout, retry or end of a grace period is due; None if there is none."""


class WriteNow(NamedTuple):
    """Run a transaction now."""

    claim: bool
    """Claim jobs for the free slots, and prefetch."""
    release_expired: bool
    """Release prefetched claims that got no slot in time: other workers may have a free slot."""


class WaitUntil(NamedTuple):
    """Wait for an event, at most until `until_us`."""

    until_us: int


NextStep = WriteNow | WaitUntil


class Pace:
    """The deadlines of a supervisor, computed from what it has reported."""

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

    def check_is_due(self, now_us: int) -> bool:
        """Return whether to read the log even if nothing announced a change.

        If so, the next check is due LOOK_AGAIN_US later.
        """
        if now_us < self._look_at_us:
            return False
        self._look_at_us = now_us + LOOK_AGAIN_US
        return True

    def check_now(self) -> None:
        """Let the next check be due at once: the server was away, and may have been replaced."""
        self._look_at_us = 0

    def first_result(self, now_us: int) -> None:
        """Note that a result waits to be recorded. Call it for the first result of a round only."""
        self._record_by_us = now_us + RESULT_WAITS_US

    def written(self) -> None:
        """Note that a transaction was committed."""
        self._write_again_us = self._refusals = 0

    def disk_full(self, now_us: int) -> None:
        """Note that a transaction failed because the disk is full."""
        self._write_again_us = now_us + TRY_AGAIN_US

    def locked(self, now_us: int, holder: str) -> bool:
        """Note that `holder` has locked the queue. Return True if it is to be reported, once.

        If the holder changes, the count starts again: many processes write, and none blocks it.
        """
        self._write_again_us = now_us + TRY_LOCK_AGAIN_US
        self._refusals = self._refusals + 1 if holder == self._locked_by else 1
        self._locked_by = holder
        return self._refusals == LOCKED_TOO_LONG

    def launched(self) -> None:
        """Note that the machine started a process."""
        self._claim_pause_us = TRY_AGAIN_US

    def launch_refused(self, now_us: int) -> None:
        """Note that the machine refused to start a process: claim nothing for 1, 2, 4 … 30 seconds.

        The pauses grow because each try adds events to the log: a claim and its release.
        """
        self._claim_again_us = now_us + self._claim_pause_us
        self._claim_pause_us = min(2 * self._claim_pause_us, LOOK_AGAIN_US)

    def _record_at_us(self, facts: Facts) -> int:
        """Return when to write; 0 means now.

        Writes wait only while prefetched jobs fill the slots.
        """
        if facts.prefetched_until_us is None or (facts.unrecorded and facts.scarce):
            return 0
        if not facts.unrecorded:
            return facts.prefetched_until_us
        return min(facts.prefetched_until_us, self._record_by_us)


def _earliest(event_us: int | None, at_us: int) -> int:
    return at_us if event_us is None else min(event_us, at_us)
