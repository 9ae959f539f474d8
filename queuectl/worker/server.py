"""What a worker has only if its queue is on a server: beats, a deadline, and outages.

The loop owns this. While the server is away, the loop tries nothing: it would wait in vain, and
handle no signal or timeout of a job in that time. The heart, which has a thread and a connection of
its own, goes on trying; once a beat of it is answered, the loop tries again.
"""

import socket
from collections.abc import Callable
from math import inf

from projections.read_models import workers

from ..api import Queue
from ..core.transaction import Session
from .fence import Fence
from .heart import Heart
from .lease import LONGEST_BEAT_US, Overdue, slack_us
from .sd_notify import Notifier


class Server:
    """The beats of a worker, its deadline, and whether the server answers."""

    def __init__(self, heart: Heart, fence: Fence) -> None:
        self.heart, self.fence = heart, fence
        self._away_since: int | None = None
        """The number of answered beats when the server did not answer; None if it does."""
        self._overdue: list[Overdue] = []
        self._is_frozen = False
        """Whether the loop knows that the jobs are frozen."""
        self._frozen_us = 0
        """For how long they had been frozen when the loop last saw them go on."""

    def is_away(self) -> bool:
        """Return whether it did not answer, and has answered no beat since, or jobs are frozen."""
        return self._away_since == self.heart.answers or self.are_frozen()

    def are_frozen(self) -> bool:
        """Return whether the jobs are frozen, or were so and `note_thaw` was not called since."""
        return not self.fence.is_open() or self.fence.frozen_us != self._frozen_us

    def note_freeze(self) -> bool:
        """Return True if all jobs have been frozen; only once until they go on."""
        is_news = not self._is_frozen and self.fence.are_frozen
        self._is_frozen |= is_news
        return is_news

    def note_thaw(self) -> int | None:
        """Return for how long jobs were frozen that go on now; None if there are no such jobs."""
        if not self.fence.is_open() or self.fence.frozen_us == self._frozen_us:
            return None
        frozen_us = self.fence.frozen_us - self._frozen_us
        self._frozen_us, self._is_frozen = self.fence.frozen_us, False
        self._away_since = None  # a beat was confirmed
        return frozen_us

    def note_away(self) -> bool:
        """Note that it does not answer. Return True if it is to be reported, once."""
        is_news = self._away_since is None
        self._away_since = self.heart.answers
        self.heart.hurry()
        return is_news

    def note_beat(self, has_news: bool) -> bool:
        """Take the news of the heart, if there are any. Return True if the server answers again."""
        if has_news:
            self._overdue += self.heart.take_overdue()
        if self._away_since is None or self.is_away():
            return False
        self._away_since = None
        return True

    def take_overdue(self) -> list[Overdue]:
        """Return the workers of other machines that may be taken over now."""
        overdue, self._overdue = self._overdue, []
        return overdue


def server_of(
    queue: Queue,
    worker_id: str,
    lease_us: int | None,
    line: socket.socket,
    kept_limit: int,
    say: Callable[[str], None],
    notifier: Notifier | None = None,
) -> Server:
    """Return the parts of a worker on a server. Their threads are not started yet.

    lease_us: None for a worker that is never ended or taken over by time. line: socket to the
    keeper. kept_limit: the soft RLIMIT_RTTIME of processes that a job left running on purpose.
    notifier: None if systemd has not started this worker.
    """
    queue.store.settles_within_s = inf  # a worker cannot leave an outcome open
    exactness_us = LONGEST_BEAT_US if lease_us is None else slack_us(lease_us)
    fence = Fence(kept_limit, exactness_us, say, line, notifier)
    lives = queue.store.lives()
    assert lives is not None
    return Server(Heart(lives, worker_id, lease_us, fence, notifier), fence)


def tidy_leases(queue: Queue, session: Session) -> None:
    """End the leases of workers that have ended: the server may have been away just then."""
    for worker_id in queue.store.last_beats():
        worker = workers.get(session.tx, worker_id)
        if worker is not None and not worker.active:
            session.tx.take_lease(worker_id, None)
