"""spoolctl from Python: `fill PATH JOBS` enqueues jobs one by one, with its own functions.

It has no bulk enqueue. This is its fastest way: one commit per job, `synchronous=NORMAL`, no fsync.
"""

import sys
import time

from spoolctl import store


def main(path: str, jobs: str) -> None:
    """Fill the queue."""
    connection = store.connect(path)
    for _ in range(int(jobs)):
        store.add_job(connection, ["true"], 3600, 3, time.time())
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
