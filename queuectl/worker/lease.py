"""Leases: until when a worker may run jobs, and when a worker of another machine has died.

Pure: no clock and no I/O. All times are microseconds of one machine's own clock, which counts on
while the machine sleeps and is never set (CLOCK_BOOTTIME). Nothing is compared between machines.

A worker proves its life by beats: each stores a new random number, the nonce, on the server. A
worker runs jobs only for half a lease after a beat that the server has confirmed; others take it
over only if they have seen the same nonce for a whole lease. See docs/decisions/0019.
"""

from collections.abc import Mapping
from typing import NamedTuple

BEATS, FENCES, SLACKS, GAPS = 12, 2, 40, 4
"""A lease has 12 beats, 2 fences, 40 slacks and 4 gaps: each is this part of it."""
GRACES = 24
"""A watchdog kills this part of the lease after the fence: after the keeper, by a slack or so."""

LONGEST_BEAT_US = 10_000_000
"""The pause between two beats is never longer than this, so that short leases of others are watched
too."""


def beat_us(lease_us: int | None) -> int:
    """Return the pause between two beats. lease_us: None for a worker that has no end by time."""
    return LONGEST_BEAT_US if lease_us is None else min(lease_us // BEATS, LONGEST_BEAT_US)


def slack_us(lease_us: int) -> int:
    """Return how much later than the supervisor its keeper acts on the same deadline."""
    return lease_us // SLACKS


def watchdog_us(lease_us: int) -> int:
    """Return how long after a confirmed beat systemd kills a worker that has confirmed no other.

    It does so if supervisor and keeper are both stopped; if they run, they have acted before. As
    much time again is left for the kill: a twelfth of a lease after the fence, all has ended.
    """
    return lease_us // FENCES + lease_us // GRACES


class Lease:
    """The lease of this worker."""

    def __init__(self, lease_us: int) -> None:
        self._fence_us = lease_us // FENCES
        self.deadline_us = 0
        """When all jobs of this worker must have ended."""

    def confirmed(self, sent_us: int) -> int:
        """Note that the server has confirmed a beat, and return the new deadline.

        sent_us: when the beat was *sent*. Others may see it as soon as it is stored, so they may
        begin to count before the answer arrives here.
        """
        self.deadline_us = max(self.deadline_us, sent_us + self._fence_us)
        return self.deadline_us


class Overdue(NamedTuple):
    """A worker that may be taken over, if its nonce on the server is still this one."""

    worker: str
    nonce: int


class _Seen(NamedTuple):
    nonce: int
    since_us: int
    """When the answer arrived that first had this nonce."""


class Watch:
    """The nonces of the other workers, and since when this worker has seen each of them."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._answered_us: int | None = None
        """When the last answer arrived."""

    def saw(
        self,
        sent_us: int,
        answered_us: int,
        nonces: Mapping[str, int],
        leases_us: Mapping[str, int],
    ) -> list[Overdue]:
        """Note the nonces in an answer of the server, and return the workers to take over.

        sent_us, answered_us: when it was requested, and when it arrived. leases_us: the leases of
        the workers that may be taken over by time.

        If this worker read nothing for a quarter of a lease, it begins to count again: the others
        may have had no server either, and a server that crashed may have lost some of their beats.
        """
        gap_us = 0 if self._answered_us is None else answered_us - self._answered_us
        self._answered_us = answered_us
        seen: dict[str, _Seen] = {}
        for worker, nonce in nonces.items():
            last = self._seen.get(worker)
            is_continuous = gap_us * GAPS <= leases_us.get(worker, 0)
            if last is not None and last.nonce == nonce and is_continuous:
                seen[worker] = last
            else:
                seen[worker] = _Seen(nonce, answered_us)
        self._seen = seen
        return [
            Overdue(worker, nonce)
            for worker, (nonce, since_us) in seen.items()
            if worker in leases_us and sent_us - since_us >= leases_us[worker]
        ]
