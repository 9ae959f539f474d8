"""Jobs claimed before a slot is free for them, so that one transaction serves many short jobs.

A transaction takes as long as a few short jobs. While they are short, as many are claimed ahead as
the slots will finish within a moment; they start as slots get free, without waiting for a commit,
and their results are recorded together. When jobs are long, none are.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import cycle, islice

from ..core.requests import Release
from .rounds import Claimed, Result

MOMENT_US = 20_000
"""Longest that a result waits to be recorded."""
SOON_US = 110_000
"""Longest that a claim waits to begin: a job of 100 ms leaves room for the next."""
MOST_A_SLOT = 32
MODEST_US = 2_000_000
"""How long to claim for free slots only, once a long job has made claims wait in vain."""


class Ahead:
    """Claims in the order in which they are to begin, those for free slots among them.

    Times are of the monotonic clock.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._claims: deque[Claimed] = deque()
        self.until_us = 0
        """When what waits is to be given back."""
        self._enough = 0
        self._not_before_us = 0

    def __len__(self) -> int:
        """How many wait to begin."""
        return len(self._claims)

    @property
    def scarce(self) -> bool:
        """Whether the claims may run out while the next ones are being committed."""
        return len(self._claims) <= self._enough

    def seats(self, free: list[int], ended: Iterable[Result], now_us: int) -> list[int]:
        """The slots to claim for: the free ones, and more where what has just ended was short."""
        if now_us < self._not_before_us:
            return free
        longest_us = max((result.outcome.usage.duration_us for result in ended), default=SOON_US)
        each = min(MOST_A_SLOT, SOON_US // (longest_us + 1))
        wanted = each * self._slots
        self._enough = wanted // 2
        more = max(0, wanted - len(self._claims))
        return free + list(islice(cycle(range(1, self._slots + 1)), more))

    def add(self, claimed: list[Claimed], now_us: int) -> None:
        """They are in the log."""
        self._claims.extend(claimed)
        self.until_us = now_us + SOON_US

    def next(self, free: list[int]) -> Claimed:
        """The next to begin, in the slot it was claimed for if that is free."""
        claimed = self._claims.popleft()
        return claimed if claimed.slot in free else claimed._replace(slot=free[0])

    def put_back(self, claimed: Claimed) -> None:
        """It could not begin after all."""
        self._claims.appendleft(claimed)

    def too_many(self, now_us: int) -> list[Release]:
        """Give back what found no slot in time, and claim nothing ahead for a while."""
        self._not_before_us = now_us + MODEST_US
        return self.give_back("no slot became free")

    def give_back(
        self, reason: str, which: Callable[[Claimed], bool] = lambda claimed: True
    ) -> list[Release]:
        """Those that shall not begin here, or not now."""
        given = [claimed.job for claimed in self._claims if which(claimed)]
        self._claims = deque(claimed for claimed in self._claims if not which(claimed))
        return [
            Release(job_id=job.id, attempt=job.attempt, worker=job.worker, reason=reason)
            for job in given
        ]
