"""The mark of an attempt, by which the processes that it started are recognized.

Every process of an attempt inherits two things: a cookie in its environment, and the same cookie
hashed into the soft RLIMIT_RTTIME, which does nothing to a process that is not real-time. The limit
survives setsid, double forks, closed descriptors and `env -i`; the cookie survives a changed limit.
See docs/decisions/0004.
"""

from hashlib import sha256
from typing import NamedTuple

VARIABLE = "QUEUECTL_CLAIM"


class Mark(NamedTuple):
    """Two values that only the processes of one attempt carry."""

    cookie: str
    """Value of `QUEUECTL_CLAIM`."""
    limit: int
    """Value of the soft RLIMIT_RTTIME (µs), in [2**62, 2**62 + 2**60).

    No program sets such values.
    """


def mark_of(queue_key: str, token: str, job_id: str, attempt: int) -> Mark:
    """Return the mark of an attempt.

    queue_key: the key of the queue's store. A copy of a queue has another key, so it never mistakes
    processes of the original for its own. token: the random token of the worker, new at each start.
    """
    cookie = f"{queue_key}:{token}:{job_id}:{attempt}"
    digest = sha256(f"{VARIABLE}={cookie}".encode()).digest()
    return Mark(cookie, 2**62 + (int.from_bytes(digest[:8]) >> 4))
