"""spoolctl from Python: `fill PATH JOBS` enqueues one after the other, by its own functions.

It knows no bulk; this is its fastest way, each job a commit with `synchronous=NORMAL`, no fsync.
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
