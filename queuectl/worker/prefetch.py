"""Jobs claimed before a slot is free for them, so that one transaction serves many short jobs.

A transaction takes as long as a few short jobs. If jobs are short, the worker claims as many as its
slots can finish within SOON_US. These jobs begin when slots become free, without waiting for a
commit, and their results are recorded together. If jobs are long, it claims none in advance.
See docs/decisions/0007.
"""

from collections import deque
from collections.abc import Collection, Iterable
from itertools import cycle, islice

from ..core.requests import Release
from .rounds import Assignment, Result

SOON_US = 110_000
"""How long a claim may wait for a slot: a little over 100 ms, so that each slot with jobs of 100 ms
still gets one claim in advance."""
MOST_PER_SLOT = 32
"""The most claims per slot that wait."""
PAUSE_US = 2_000_000
"""If claims have waited too long for a slot, nothing is claimed in advance for this long."""


class Prefetch:
    """All claims that have not begun, in their order; some may already have a free slot.

    Times are microseconds of the monotonic clock.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._claims: deque[Assignment] = deque()
        self.until_us = 0
        """When the waiting claims are to be released."""
        self._scarce_up_to = 0
        self._not_before_us = 0

    def __len__(self) -> int:
        """Return the number of claims that wait."""
        return len(self._claims)

    @property
    def scarce(self) -> bool:
        """Whether the claims may run out while the next ones are being committed."""
        return len(self._claims) <= self._scarce_up_to

    def slots(self, free: list[int], ended: Iterable[Result], now_us: int) -> list[int]:
        """Return the slots for which to claim jobs: the free slots, and more if jobs are short.

        ended: the results that the next transaction records.
        """
        if now_us < self._not_before_us:
            return free
        longest_us = max((result.outcome.usage.duration_us for result in ended), default=SOON_US)
        per_slot = min(MOST_PER_SLOT, SOON_US // (longest_us + 1))
        target = per_slot * self._slots
        self._scarce_up_to = target // 2
        more = max(0, target - len(self._claims))
        return free + list(islice(cycle(range(1, self._slots + 1)), more))

    def add(self, claimed: list[Assignment], now_us: int) -> None:
        """Add claims that have been committed."""
        self._claims.extend(claimed)
        self.until_us = now_us + SOON_US

    def next(self, free: list[int]) -> Assignment:
        """Remove and return the next claim, with its own slot if that is one of the free ones."""
        claim = self._claims.popleft()
        return claim if claim.slot in free else claim._replace(slot=free[0])

    def put_back(self, claim: Assignment) -> None:
        """Put a claim back to the front, because it could not begin."""
        self._claims.appendleft(claim)

    def release_expired(self, now_us: int) -> list[Release]:
        """Release all claims, because none got a slot in time, and prefetch none for PAUSE_US."""
        self._not_before_us = now_us + PAUSE_US
        return self.release("no slot became free")

    def release(self, reason: str) -> list[Release]:
        """Remove all claims. Return the requests that release them."""
        claims, self._claims = self._claims, deque()
        return [_release(claim, reason) for claim in claims]

    def release_cancelled(self, cancelled: Collection[tuple[str, int]]) -> list[Release]:
        """Remove the cancelled claims. Return the requests that release them.

        cancelled: pairs of a job id and an attempt.
        """
        claims, self._claims = self._claims, deque()
        removed: list[Assignment] = []
        for claim in claims:
            is_cancelled = (claim.job.id, claim.job.attempt) in cancelled
            (removed if is_cancelled else self._claims).append(claim)
        return [_release(claim, "cancelled") for claim in removed]


def _release(claim: Assignment, reason: str) -> Release:
    job = claim.job
    return Release(job_id=job.id, attempt=job.attempt, worker=job.worker, reason=reason)
