"""The mark of an attempt: how the processes it started are known for its own, wherever they went.

Every process of an attempt inherits two things: a cookie in its environment, and the same cookie
hashed into the soft RLIMIT_RTTIME, which does nothing to a process that is not real-time. The limit
outlives setsid, double forks, closed descriptors and `env -i`; the cookie outlives a changed limit.
"""

from hashlib import sha256
from typing import NamedTuple

VARIABLE = "QUEUECTL_CLAIM"


class Mark(NamedTuple):
    """What tells an attempt's processes from all others."""

    cookie: str
    """Value of `QUEUECTL_CLAIM`."""
    limit: int
    """Value of the soft RLIMIT_RTTIME, in [2**62, 2**62 + 2**60): nobody asks for so many µs."""


def mark_of(identity: tuple[int, int], token: str, job_id: str, attempt: int) -> Mark:
    """The mark of an attempt.

    identity: device and inode of the queue file, so that a copied queue never claims the processes
    of the original. token: random, of the worker's life.
    """
    device, inode = identity
    cookie = f"{device}:{inode}:{token}:{job_id}:{attempt}"
    digest = sha256(f"{VARIABLE}={cookie}".encode()).digest()
    return Mark(cookie, 2**62 + (int.from_bytes(digest[:8]) >> 4))
