"""huey on SQLite: `fill PATH JOBS COMMAND` enqueues, `drain PATH JOBS SLOTS` runs to the end.

Default settings: `fsync=True` is its durable setting, threads are its default worker type.
"""

import subprocess
import sys
import time

from huey import SqliteHuey


def main(verb: str, path: str, jobs: str, last: str) -> None:
    """Fill the queue, or drain it. last: the command to fill with, or the number of slots."""
    huey = SqliteHuey(filename=path, fsync=True)

    @huey.task()  # type: ignore[untyped-decorator]
    def run(command: str) -> int:
        return subprocess.run(["sh", "-c", command], check=False).returncode

    if verb == "fill":
        for _ in range(int(jobs)):
            run(last)
        return
    consumer = huey.create_consumer(workers=int(last), periodic=False)
    consumer.start()
    while huey.pending_count() or huey.result_count() < int(jobs):
        time.sleep(0.01)
    consumer.stop(graceful=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
